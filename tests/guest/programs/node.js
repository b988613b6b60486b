// Node as a server and as a client: `node node.js PORT LOG`, `node node.js ask URL N REPORT`.
// The server answers with the request's body length, in chunks for /chunked; /missing is a 404.
// Writes to LOG, for every request: status, method, two unknowns, seconds in the handler.
// The client: N requests with fetch, every fourth a POST; to REPORT goes how many answers had each status.
const fs = require('fs');
const http = require('http');

function serve(port, file) {
  const log = fs.openSync(file, 'w');
  http.createServer((request, response) => {
    const begin = process.hrtime.bigint();
    let bytes = 0;
    request.on('data', (part) => { bytes += part.length; });
    request.on('end', () => {
      const path = request.url.split('?')[0];
      const status = path === '/missing' ? 404 : 200;
      response.writeHead(status, path === '/chunked' ? {} : { 'Content-Length': `${bytes}\n`.length });
      if (path === '/chunked') response.flushHeaders();
      response.end(`${bytes}\n`);
      const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      fs.writeSync(log, `${status} ${request.method} - - ${seconds}\n`);
    });
  }).listen(Number(port), '127.0.0.1');
}

async function ask(url, number, file) {
  const statuses = {};
  for (let i = 0; i < Number(number); i++) {
    const options = i % 4 === 3 ? { method: 'POST', body: 'x'.repeat(3000) } : {};
    const response = await fetch(url, options);
    await response.text();
    statuses[response.status] = (statuses[response.status] || 0) + 1;
  }
  const lines = Object.entries(statuses).map(([status, count]) => `${status} ${count}\n`);
  fs.writeFileSync(file, lines.join(''));
}

const [, , first, ...rest] = process.argv;
if (first === 'ask') ask(...rest); else serve(first, ...rest);
