#!/bin/sh
# Installs those of the named Debian packages that are missing; asks the network for nothing when none is.
#
#   packages.sh [--asleep] PACKAGE... | FILE.txt...
#
# A file has one package to a line. --asleep: services that come with them are neither started now nor at boot.
set -eu

asleep=
[ "$1" != --asleep ] || { asleep=yes; shift; }

names=
for word; do
    case $word in
        *.txt) names="$names $(sed 's/#.*//' "$word" | tr '\n' ' ')" ;;
        *) names="$names $word" ;;
    esac
done
# A newer Debian may have what a name stands for in a package of another name, which provides it.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' | sed -n 's/^installed //p' |
    sed 's/([^)]*)//g' | tr -d ' ' | tr ',' '\n')
missing=
for name in $names; do
    printf '%s\n' "$installed" | grep -Fqx "$name" || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

echo "Debian packages:$missing"
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "be root, or install sudo: apt-get must install$missing" >&2; exit 1; }
    exec sudo -- "$0" ${asleep:+--asleep} $missing
fi

# Debian's own timers hold the locks for a while after a boot.
patiently() {
    tries=0
    until "$@" >/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 5 ] || { echo "gave up: $*" >&2; exit 1; }
        sleep 10
    done
}

policy=/usr/sbin/policy-rc.d
if [ -n "$asleep" ] && [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
patiently apt-get -qq update
# shellcheck disable=SC2086 # a list of words
patiently apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install $missing
if [ -n "$asleep" ] && [ -d /run/systemd/system ]; then
    for name in $missing; do
        for unit in $(dpkg -L "$name" | sed -n 's|^\(/usr\)\?/lib/systemd/system/\([^@/]*\.service\)$|\2|p'); do
            systemctl disable --quiet "$unit" 2>/dev/null || true
        done
    done
fi
