# A WSGI application for gunicorn: answers with the request's body length; /missing is a 404, /chunked has no length.


def application(request, start):
    length = 0
    while part := request["wsgi.input"].read(65536):
        length += len(part)
    path = request["PATH_INFO"]
    body = f"{length}\n".encode()
    headers = [("Content-Type", "text/plain")]
    if path != "/chunked":
        headers.append(("Content-Length", str(len(body))))
    start("404 Not Found" if path == "/missing" else "200 OK", headers)
    # gunicorn would send the body of an answer to HEAD as well.
    return [] if request["REQUEST_METHOD"] == "HEAD" else [body]
