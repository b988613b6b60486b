# An ASGI application for uvicorn: answers with the request's body length; /missing is a 404, /chunked has no length.


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    length = 0
    more = True
    while more:
        event = await receive()
        length += len(event.get("body", b""))
        more = event.get("more_body", False)
    body = f"{length}\n".encode()
    headers = [(b"content-type", b"text/plain")]
    if scope["path"] != "/chunked":
        headers.append((b"content-length", str(len(body)).encode()))
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
