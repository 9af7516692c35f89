folder=$0 dockerd=$1
shift
# The engine is reached here later; /var/run/docker.sock is gone with /run.
touch "$folder/docker.sock"
mount --bind /var/run/docker.sock "$folder/docker.sock"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
cp "$(command -v setpriv)" /run/root
chmod 4755 /run/root
mount --bind /dev/null "$dockerd"
echo "$dockerd" > "$folder/dockerd"
mkdir "$folder/etc"
mount -t tmpfs -o mode=755 tmpfs "$folder/etc"
cp -a /etc/. "$folder/etc"
mount --bind "$folder/etc" /etc
rm -f /etc/os-release
printf 'PRETTY_NAME="Debian GNU/Linux"\nID=debian\n' > /etc/os-release
sed -i '/^deploy:/d' /etc/passwd /etc/group /etc/shadow
sed -i '/^docker:/d' /etc/group
echo 'deploy:x:4242:4242::/tmp:/bin/sh' >> /etc/passwd
echo 'deploy:x:4242:' >> /etc/group
echo 'deploy:*:19000::::::' >> /etc/shadow
exec "$@"
