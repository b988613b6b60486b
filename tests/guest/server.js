// A small Node server: `node server.js PORT|PATH`. Answers 201 to POST with the body's length, 200 to everything else.
const http = require('http');
const [where] = process.argv.slice(2);
const place = where.startsWith('/') ? [where] : [Number(where), '127.0.0.1'];
http.createServer((request, response) => {
  let bytes = 0;
  request.on('data', (part) => { bytes += part.length; });
  request.on('end', () => {
    response.statusCode = request.method === 'POST' ? 201 : 200;
    response.end(`${bytes}\n`);
  });
}).listen(...place);
