PATH=$PATH:/usr/sbin:/sbin
[ -r /etc/os-release ] && . /etc/os-release
echo "system=${PRETTY_NAME:-$(uname -s)}"
echo "family=${ID:-} ${ID_LIKE:-}"
echo "user=$(id -un)"
echo "uid=$(id -u)"
command -v dockerd >/dev/null && echo "installed=$(dockerd --version)"
ls /var/lib/snapd/snaps/docker_*.snap >/dev/null 2>&1 && echo snap=docker
socket=/var/run/docker.sock
if [ -S "$socket" ]; then
    if [ -r "$socket" ] && [ -w "$socket" ]; then echo socket=usable; else echo socket=denied; fi
    ls -ldL "$socket" | { read -r _ _ _ group _; echo "group=$group"; }
fi
own=/run/user/$(id -u)/docker.sock
[ -S "$own" ] && echo "rootless=$own"
case ${DOCKER_HOST:-} in
"" | *"$socket") ;;
*) echo "rootless=$DOCKER_HOST" ;;
esac
for program in sudo usermod; do command -v "$program" >/dev/null && echo "$program=yes"; done
if command -v systemctl >/dev/null; then
    echo "boot=$(systemctl is-enabled docker 2>/dev/null)"
    echo "active=$(systemctl is-active docker 2>/dev/null)"
fi
folder=/var/lib/docker
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
df -Pk "$folder" | tail -n 1 | { read -r _ _ _ free _; echo "free=$free"; }
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
exit 0
