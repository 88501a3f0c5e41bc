#!/bin/sh
# Makes the passwords that the services of docker-compose.yml share: at the first start, and after one of them was
# deleted from FOLDER/made. What is given out is written anew every time, so that a run that was cut short does no harm.
#
#   setup.sh FOLDER
#
# As root, it gives each file to the user of the service that reads it; by hand, all of them are the caller's.
set -eu
umask 077
cd "$1"

made() {
    [ -s "made/$1" ] || {
        od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >made/draft
        mv made/draft "made/$1"
    }
    cat "made/$1"
}

# give USER FILE TEXT
give() {
    # One that a run left behind may be somebody else's by now, and root has no right to write to it.
    rm -f draft
    printf '%s\n' "$3" >draft
    chmod 400 draft
    [ "$(id -u)" -ne 0 ] || chown "$1:$1" draft
    mv draft "$2"
}

mkdir -p made sentinel mongo redis
chmod 755 . sentinel mongo redis

give 999 mongo/keyfile "$(made mongo-keyfile)"
give 999 mongo/admin-password "$(made mongo-admin)"
give 999 mongo/sentinel-password "$(made mongo-sentinel)"
give 10001 sentinel/mongo-password "$(made mongo-sentinel)"
give 10002 redis/password "$(made redis)"
give 10002 redis/redis.conf "requirepass $(made redis)"
give 10001 sentinel/redis-url "redis://:$(made redis)@redis:6379"
give 10001 sentinel/management-password "$(made management)"
