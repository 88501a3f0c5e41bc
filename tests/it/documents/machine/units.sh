# What both stand-ins for systemd know of units: their files, those beside them, and their credentials.
units=$MACHINE/etc/systemd/system

# files UNIT: the unit's own, and those for all whose names begin as its does.
files() {
    for file in "$units/$1.service" "$units/$1.service.d"/*.conf; do [ ! -e "$file" ] || echo "$file"; done
    case $1 in
    sentinel-*) for file in "$units/sentinel-.service.d"/*.conf; do [ ! -e "$file" ] || echo "$file"; done ;;
    esac
}

# values UNIT KEY
values() { files "$1" | xargs -r sed -n "s/^$2=//p"; }

# Its credentials, in a folder that is gone when the unit has read it: no other may look into it.
credentials() {
    folder=$MACHINE/run/credentials/$1.service
    mkdir -p -m 700 "$MACHINE/var/lib/sentinel" "$folder"
    values "$1" LoadCredential | while IFS=: read -r name file; do cp "$file" "$folder/$name"; done
}
without_credentials() { rm -r "$MACHINE/run/credentials/$1.service"; }

# variables UNIT: into the array of that name.
variables() { mapfile -t variables < <(values "$1" Environment | sed "s|%d|$MACHINE/run/credentials/$1.service|g"); }
