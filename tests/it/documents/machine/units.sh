# Functions of systemctl.sh and systemd-run.sh: unit files, drop-ins and credentials.
units=$MACHINE/etc/systemd/system

# files UNIT: prints the unit file and its drop-ins, also those for a prefix of its name.
files() {
    for file in "$units/$1.service" "$units/$1.service.d"/*.conf; do [ ! -e "$file" ] || echo "$file"; done
    case $1 in
    sentinel-*) for file in "$units/sentinel-.service.d"/*.conf; do [ ! -e "$file" ] || echo "$file"; done ;;
    esac
}

# values UNIT KEY
values() { files "$1" | xargs -r sed -n "s/^$2=//p"; }

# credentials UNIT: copies the credentials to a private folder. without_credentials UNIT removes it.
credentials() {
    folder=$MACHINE/run/credentials/$1.service
    mkdir -p -m 700 "$MACHINE/var/lib/sentinel" "$folder"
    values "$1" LoadCredential | while IFS=: read -r name file; do cp "$file" "$folder/$name"; done
}
without_credentials() { rm -r "$MACHINE/run/credentials/$1.service"; }

# variables UNIT: sets the array `variables`.
variables() { mapfile -t variables < <(values "$1" Environment | sed "s|%d|$MACHINE/run/credentials/$1.service|g"); }
