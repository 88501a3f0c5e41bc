#!/bin/sh
# Generates the passwords that the services of docker-compose.yml share, at the first start and after one of them was
# deleted from FOLDER/made. Every run writes the files of all services again, so an interrupted run can be repeated.
#
#   setup.sh FOLDER
#
# As root, it makes the user of each service the owner of the service's files. Otherwise, the caller owns all files.
set -eu
umask 077
cd "$1"

# secret NAME: prints the secret, and generates it if it does not exist.
secret() {
    [ -s "made/$1" ] || {
        od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >made/draft
        mv made/draft "made/$1"
    }
    cat "made/$1"
}

# write_secret USER FILE TEXT: writes a file that only USER can read.
write_secret() {
    # An interrupted run may have left a draft that another user owns; root lacks the capability to write to it.
    rm -f draft
    printf '%s\n' "$3" >draft
    chmod 400 draft
    [ "$(id -u)" -ne 0 ] || chown "$1:$1" draft
    mv draft "$2"
}

mkdir -p made sentinel mongo redis
chmod 755 . sentinel mongo redis

write_secret 999 mongo/keyfile "$(secret mongo-keyfile)"
write_secret 999 mongo/admin-password "$(secret mongo-admin)"
write_secret 999 mongo/sentinel-password "$(secret mongo-sentinel)"
write_secret 10001 sentinel/mongo-password "$(secret mongo-sentinel)"
write_secret 10002 redis/password "$(secret redis)"
write_secret 10002 redis/redis.conf "requirepass $(secret redis)"
write_secret 10001 sentinel/redis-url "redis://:$(secret redis)@redis:6379"
write_secret 10001 sentinel/management-password "$(secret management)"
