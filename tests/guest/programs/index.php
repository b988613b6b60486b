<?php
// For PHP's built-in server and for php-fpm: answers with the request's body length; /missing is a 404.
// Writes to the file that ACCOUNT names, for every request: status, method, three unknowns (PHP reads a request in full
// before the script starts, so the script does not know how long it took).
$status = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/missing' ? 404 : 200;
http_response_code($status);
echo strlen(file_get_contents('php://input')), "\n";
if ($account = getenv('ACCOUNT')) {
    file_put_contents($account, "$status $_SERVER[REQUEST_METHOD] - - -\n", FILE_APPEND | LOCK_EX);
}
