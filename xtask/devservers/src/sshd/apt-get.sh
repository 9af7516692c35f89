folder=$(dirname "$0")/..
echo "apt-get $*" >> "$folder/asked"
case "$*" in
*" update")
    # The first time, its own timer is at it, as on a new host.
    if [ ! -e "$folder/updated" ]; then
        touch "$folder/updated"
        echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)" >&2
        exit 100
    fi
    ;;
*" install "*docker.io)
    umount "$(cat "$folder/dockerd")"
    # The group that the engine's socket has.
    groupadd --non-unique --gid "$(stat --format %g "$folder/docker.sock")" docker
    ;;
esac
