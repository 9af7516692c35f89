# A service that is known by its Dockerfile alone: its files, at the port of the variable PORT.
www=/tmp/www
busybox cp -r /www $www
if [ -e /www/broken ]; then echo "the moon is down"; exit 3; fi
if [ -n "$UPLOADS" ]; then echo once >> "$UPLOADS/starts"; busybox cp "$UPLOADS/starts" $www/starts; fi
echo "$GREETED, a key of ${#SESSION_KEY} characters" > $www/env
echo "listening on $PORT"
busybox httpd -f -p "$PORT" -h $www &
served=$!
trap 'kill $served; exit 0' TERM
wait $served
