folder=$(dirname "$0")/..
echo "apt-get $*" >> "$folder/asked"
case "$*" in
*" install "*docker.io)
    umount "$(cat "$folder/dockerd")"
    # The group that the engine's socket has.
    groupadd --non-unique --gid "$(stat --format %g "$folder/docker.sock")" docker
    ;;
esac
