# Scenario: servers as Debian ships them, each asked by curl, and load generators. `programs.rs` judges.
# Packages: apache2-bin caddy gunicorn haproxy lighttpd nghttp2-client php-fpm
. tests/guest/lib.sh
. tests/guest/programs/ask.sh
make_files

step "servers"
gunicorn_with() { run "$1" "$2" /usr/bin/python3 -m gunicorn --chdir "$HERE" -b "127.0.0.1:$2" --access-logfile "$OUT/$1.account" \
  --access-logformat '%(s)s %(m)s - - %(L)s' "${@:3}" wsgi:application; }
export PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
gunicorn_with gunicorn-threads 8105 -w 2 -k gthread --threads 4 --keep-alive 60
gunicorn_with gunicorn-sync 8107 -w 3
run nginx 8100 nginx -c "$HERE/nginx.conf" -p "$WORK"
run apache-prefork 8101 apache2 -D Prefork -D FOREGROUND -f "$HERE/apache.conf"
run apache-event 8102 apache2 -D Event -D FOREGROUND -f "$HERE/apache.conf"
run lighttpd 8103 lighttpd -D -f "$HERE/lighttpd.conf"
run caddy 8104 caddy run --config "$HERE/Caddyfile" --adapter caddyfile
run haproxy 8106 haproxy -db -f "$HERE/haproxy.cfg"
run php-fpm 8108 /usr/sbin/php-fpm[0-9]* -n -F -R -y "$HERE/php-fpm.conf"
all_listen
start_agent agent

# The last one to be asked is HAProxy, and Caddy after gunicorn: they keep connections to the servers behind them.
ask gunicorn-threads gunicorn-threads 8105
ask gunicorn-sync gunicorn-sync 8107
ask nginx nginx 8100 ok take
ask apache-prefork apache-prefork 8101
ask apache-event apache-event 8102
ask lighttpd lighttpd 8103
ask nginx-kept nginx 8100 kept kept kept
ask php-fpm nginx 8100 php php php
ask php-fpm-unix nginx 8100 unix-php unix-php unix-php
ask caddy caddy 8104 ok take

load ab nginx 8100 ab -n 40 -c 4 http://127.0.0.1:8100/ok
load ab-kept nginx 8100 ab -k -n 40 -c 4 http://127.0.0.1:8100/ok
load h2load nginx 8100 h2load --h1 -n 80 -c 4 -m 4 http://127.0.0.1:8100/ok
load wrk nginx 8100 wrk -t 1 -c 4 -d 1s http://127.0.0.1:8100/ok
load nginx-gone nginx 8100 curl -s http://127.0.0.1:8100/gone http://127.0.0.1:8100/gone

ask haproxy haproxy 8106 ok take
load haproxy-alone haproxy 8106 curl -s http://127.0.0.1:8106/denied http://127.0.0.1:8106/gone
step end
stop_agent
