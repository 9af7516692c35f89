folder=$(dirname "$0")/..
case "$*" in
"is-enabled docker") cat "$folder/enabled" ;;
"is-active docker") if [ -S /var/run/docker.sock ]; then echo active; else echo inactive; fi ;;
*)
    echo "systemctl $*" >> "$folder/asked"
    echo enabled > "$folder/enabled"
    ln -s "$(realpath "$folder")/docker.sock" /var/run/docker.sock
    ;;
esac
