#!/bin/sh
# Installs Offhook as a systemd service from a directory of wheels, upgrades it, or takes it away.
#
#   install.sh WHEELS            install or upgrade; needs no network unless a Debian package is missing
#   install.sh WHEELS --unchecked
#                                the same though the new program finds faults in the configuration
#   install.sh uninstall         remove program and service; configuration, state and user stay
#   install.sh uninstall --purge remove these as well
#
# DESTDIR=/some/root puts the files below another root and touches neither users, packages nor services.
#
# /etc/offhook is the administrator's: nothing in it is ever overwritten. A newer sample is put beside the file that
# differs from it, with the ending .new. An upgrade that fails leaves the old program as it was, and so does one whose
# new program would not start: it checks the configuration before it takes the old one's place.
set -eu
umask 022

source_dir=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
root=${DESTDIR:-}
program=/opt/offhook
unit=/usr/local/lib/systemd/system/offhook.service
sysusers=/usr/local/lib/sysusers.d/offhook.conf
command=/usr/local/bin/offhook
configuration=/etc/offhook

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: error: %s\n' "$*" >&2; exit 1; }

# True when this is the running system and its systemd.
live() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

need_root() {
    [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "must be root: try 'sudo make install'"
}

install_packages() {
    [ -z "$root" ] || return 0
    "$source_dir/systemd/packages.sh" "$source_dir/systemd/packages.txt" ||
        fail "apt-get could not install what $source_dir/systemd/packages.txt names: see above, then run this again"
}

# As the service's user, so that it sees what the service will see.
check_configuration() {
    [ -z "$root" ] && [ -e "$configuration/gateway.yaml" ] || return 0
    home=/var/lib/offhook
    [ -d "$home" ] || home=/
    # What it tells to type is for the place where the program is going to be.
    if said=$(cd "$home" && setpriv --reuid=offhook --regid=offhook --init-groups --reset-env \
        "$new/bin/offhook" check --config "$configuration/gateway.yaml" 2>&1); then
        found=
    else
        found=faults
    fi
    printf '%s\n' "$said" | sed "s|$new|$program|g" >&2
    [ -z "$found" ] ||
        fail "the new program does not take the configuration, see above; the old one stays." \
            "Fix it, and run this again. What agents import belongs beside them:" \
            "$program/bin/python -m pip install --target $configuration/agents LIBRARY" \
            "If they need what only the service has (Environment=, LoadCredential=): make install UNCHECKED=1"
}

# The program is made beside the old one and takes its place at the end.
install_program() {
    new=$root$program.new
    rm -rf "$new"
    mkdir -p "$root/opt"
    trap 'rm -rf "$new"' EXIT
    say "$program"
    /usr/bin/python3 -m venv --prompt offhook "$new" || fail "/usr/bin/python3 could not make a virtual environment in $new"
    extras=
    ! ls "$1"/onnxruntime-*.whl >/dev/null 2>&1 || extras=silero
    ! ls "$1"/picows-*.whl >/dev/null 2>&1 || extras=${extras:+$extras,}network
    "$new/bin/python" -m pip install --quiet --no-index --find-links "$1" --disable-pip-version-check \
        --no-warn-script-location "offhook${extras:+[$extras]}" ||
        fail "could not install from $1: 'make wheels' must have succeeded with $(/usr/bin/python3 --version)"
    mkdir -p "$new/share/offhook"
    cp -R "$source_dir/dialplans" "$new/share/offhook/"
    # Without git, or from a tarball (also one inside another clone), the version is the release alone.
    { [ -e "$source_dir/.git" ] && git -C "$source_dir" describe --always --dirty --exclude '*' \
        >"$new/share/offhook/commit" 2>/dev/null; } || rm -f "$new/share/offhook/commit"
    "$new/bin/python" -I -c 'import gateway.cli, pjsua2' || fail "the installed program does not load"
    [ "$2" = --unchecked ] || check_configuration
    # Scripts name the interpreter by its path, which is about to change.
    grep -rlIF "$new" "$new/bin" | xargs sed -i "s|$new|$program|g"
    rm -rf "$root$program.old"
    [ ! -d "$root$program" ] || mv "$root$program" "$root$program.old"
    mv "$new" "$root$program"
    rm -rf "$root$program.old"
    trap - EXIT
    mkdir -p "$root${command%/*}"
    ln -sfn "$program/bin/offhook" "$root$command"
}

install_user() {
    install -D -m 0644 "$source_dir/systemd/offhook.sysusers.conf" "$root$sysusers"
    [ -n "$root" ] || systemd-sysusers "$sysusers" || fail "systemd-sysusers could not make the user offhook"
}

# Root writes, the gateway reads, nobody else may: there may be passwords in it.
private() {
    if [ -z "$root" ]; then
        install -o root -g offhook "$@"
    else
        install "$@"
    fi
}

# keep FROM TO: a file of the administrator.
keep() {
    if [ ! -e "$2" ]; then
        private -m 0640 "$1" "$2"
    elif cmp -s "$1" "$2"; then
        rm -f "$2.new"
    else
        private -m 0640 "$1" "$2.new"
        say "${2#"$root"} is yours and stays; the new sample is ${2#"$root"}.new"
    fi
}

install_configuration() {
    for directory in '' /agents /dialplans /dialplans/sounds; do
        [ -d "$root$configuration$directory" ] || private -d -m 0750 "$root$configuration$directory"
    done
    keep "$source_dir/systemd/gateway.yaml" "$root$configuration/gateway.yaml"
    for file in "$source_dir"/dialplans/*.yaml "$source_dir"/dialplans/sounds/*; do
        keep "$file" "$root$configuration/${file#"$source_dir/"}"
    done
}

install_unit() {
    install -D -m 0644 "$source_dir/systemd/offhook.service" "$root$unit"
    live || return 0
    systemctl daemon-reload
    systemctl --quiet enable offhook.service
    if systemctl --quiet is-active offhook.service; then
        say "restarting the service; calls may end within the drain timeout"
        systemctl restart offhook.service || fail "it does not start: journalctl -u offhook"
    else
        say "next: a trunk in $configuration/gateway.yaml, 'offhook check', 'systemctl start offhook'"
    fi
}

uninstall() {
    if live && [ -e "$unit" ]; then
        systemctl --quiet disable --now offhook.service
    fi
    rm -rf "$root$program" "$root$command" "$root$unit" "$root$sysusers"
    if live; then
        systemctl daemon-reload
    fi
    [ "${1:-}" = --purge ] || { say "removed; $configuration and /var/lib/offhook stay (--purge removes them)"; return 0; }
    rm -rf "$root$configuration" "$root/var/lib/offhook"
    if [ -z "$root" ] && getent passwd offhook >/dev/null; then
        userdel offhook
    fi
}

case ${1:-} in
uninstall)
    need_root
    uninstall "${2:-}"
    ;;
'' | -*)
    fail "usage: install.sh WHEELS [--unchecked] | install.sh uninstall [--purge]"
    ;;
*)
    need_root
    wheels=$(CDPATH='' cd -- "$1" 2>/dev/null && pwd) || fail "$1 is not a directory of wheels: run 'make wheels'"
    install_packages
    install_user
    install_program "$wheels" "${2:-}"
    install_configuration
    install_unit
    say "Offhook $("$root$program/bin/python" -I -c 'from importlib.metadata import version; print(version("offhook"))') installed"
    ;;
esac
