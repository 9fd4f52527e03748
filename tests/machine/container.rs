//! The container image, made from the programs of this build without a registry, and used: a snapshot goes through it, and
//! the containers of contrib/docker/compose.yaml run beside a HAProxy.

use crate::harness::machine::{good, install_programs};
use crate::harness::{self, names, peer, python_tool, root, write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAMS: [&str; 5] =
    ["haproxystats-pull", "haproxystats-process", "haproxystats-agent", "haproxystats-discovery", "haproxystats-top"];

/// Runs the containers in a network and with mounts of its own, which have what the file looks for: HAProxy's socket, and
/// what stands in for Graphite. `$1` is a directory, the rest calls podman-compose.
const PAIR: &str = r#"
directory=$1
shift
ip link set lo up
mount -t tmpfs none "$directory/etc"
mkdir "$directory/etc/upper" "$directory/etc/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$directory/etc/upper,workdir=$directory/etc/work" /etc
cp "$directory/haproxystats.conf" /etc/haproxystats.conf
mkdir -p /run/haproxy
mount -t tmpfs none /run/haproxy
echo 127.0.0.1:9 >/run/haproxy/servers
haproxy -db -f "$directory/haproxy.cfg" &
haproxy=$!
socat -u TCP-LISTEN:3002,bind=127.0.0.1,fork,reuseaddr OPEN:"$directory/lines",creat,append &
socat=$!
end() {
    "$@" down --volumes
    kill "$haproxy" "$socat"
    find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null
}
trap 'end "$@"' EXIT

until_true() {
    tries=0
    until "$@" 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" = 300 ]; then
            echo "waited in vain for: $*"
            podman ps --all
            podman logs pair_pull_1
            podman logs pair_process_1
            podman logs pair_agent_1
            podman logs pair_discovery_1
            exit 1
        fi
        sleep 0.2
    done
}
until_true test -S /run/haproxy/admin.sock
HAPROXY_GROUP=$(stat -c %g /run/haproxy/admin.sock)
export HAPROXY_GROUP
"$@" up --detach || exit 1
until_true grep -q '\.haproxy\.frontend\.www\.' "$directory/lines"
# What has to outlive a container lies in a volume.
kept() {
    until_true test -s "$(podman volume inspect --format '{{.Mountpoint}}' "pair_$1")/$1/$2"
    echo "the volume $1 has $2"
}
kept discovery list.json
kept agent state.json
for container in pair_pull_1 pair_process_1; do
    until_true podman healthcheck run "$container"
    podman inspect --format "$container {{.State.Healthcheck.Status}}" "$container"
    process=$(podman inspect --format '{{.State.Pid}}' "$container")
    sed -n "s/^Uid:\t\([0-9]*\).*/$container is user \1/p; s/^CapBnd:\t/$container may /p" "/proc/$process/status"
done
"#;

const HAPROXY: &str = "global\n\tstats socket /run/haproxy/admin.sock user haproxy group haproxy mode 660 level user\n\
    defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n\
    frontend www\n\tbind 127.0.0.1:8080\n\tdefault_backend web\nbackend web\n\tserver web1 127.0.0.1:9\n";

/// Limits as low as anybody may set them, since raising them is not allowed everywhere, and no systemd.
const CONTAINERS: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n";

/// Where buildah and podman keep the image and all else.
struct Store {
    place: TempDir,
    buildah: PathBuf,
}

impl Store {
    /// With the image in it.
    fn with_image(buildah: PathBuf) -> Self {
        let store = Self { place: tempfile::tempdir().unwrap(), buildah };
        let programs = store.path("programs");
        install_programs(&programs);
        let mut command = Command::new(root().join("contrib/docker/build"));
        command.arg(&programs).arg(&store.buildah).args(store.options());
        command.args(["bud", "--isolation", "chroot", "-t", "haproxystats"]);
        good(command, store.place.path());
        store
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn options(&self) -> Vec<String> {
        let place = self.place.path().display();
        let options = format!("--root {place}/store --runroot {place}/run --storage-driver vfs");
        options.split(' ').map(str::to_owned).collect()
    }

    fn buildah(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.buildah);
        command.args(self.options()).args(words);
        good(command, self.place.path())
    }
}

/// As a user who is not root, and with nothing else there.
fn the_image_holds_all_that_the_programs_need(store: &Store) {
    store.buildah(&["from", "--name", "c", "localhost/haproxystats"]);
    let snapshot = store.path("1500000000");
    std::fs::create_dir(&snapshot).unwrap();
    write(&snapshot, "one_info", harness::haproxy::INFO);
    write(&snapshot, "one_stat", harness::haproxy::STAT);
    let volume = format!("{}:/snapshots/1500000000:ro", snapshot.display());
    let inside = |words: &[&str]| {
        store.buildah(&[&["run", "--isolation", "chroot", "--volume", &volume, "c", "--"], words].concat())
    };
    for program in PROGRAMS {
        assert!(inside(&[program, "--version"]).contains(env!("CARGO_PKG_VERSION")));
    }
    inside(&["haproxystats-pull", "--check"]);
    inside(&["haproxystats-process", "--check"]);
    let metrics = inside(&["haproxystats-process", "--once", "/snapshots/1500000000"]);
    assert!(metrics.contains(".haproxy.frontend.web.scur 3 1500000000"), "{metrics}");
    assert_eq!(store.buildah(&["inspect", "--format", "{{.OCIv1.Config.User}}", "c"]).trim(), "65532:65532");
}

/// The file as it is, under podman: metrics of a HAProxy of the host arrive, and both health checks are content; agent and
/// discovery keep what they know.
fn pull_and_process_run_side_by_side(store: &Store, compose: &Path, podman: &Path) {
    let place = store.place.path();
    let settings = "[pull]\nsocket-dir = /run/haproxy\npull-interval = 1\npull-timeout = 0.9\n\
                    [process]\nworkers = 2\n[graphite]\nport = 3002\nsettle = 0.1\n\
                    [agent]\nchecks = load\n[discovery]\nexporter-port = 0\n\
                    [discovery-server]\nmode = file\nsource-file = /run/haproxy/servers\n\
                    [discovery-client]\nhaproxy-socket-path = /run/haproxy/admin.sock\n[discovery-backend:web]\nbase-name = web\n";
    write(place, "haproxystats.conf", settings);
    write(place, "haproxy.cfg", HAPROXY);
    write(place, "containers.conf", CONTAINERS);
    std::fs::create_dir(store.path("etc")).unwrap();
    let directory = store.path("bin");
    std::fs::create_dir(&directory).unwrap();
    let script = format!("#!/bin/sh\nexec {} {} \"$@\"\n", podman.display(), store.options().join(" "));
    write(&directory, "podman", script);
    std::fs::set_permissions(directory.join("podman"), PermissionsExt::from_mode(0o755)).unwrap();

    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "sh", "-uc", PAIR, "pair"]).arg(place);
    command.arg(compose).arg("--file").arg(root().join("contrib/docker/compose.yaml")).args(["--project-name", "pair"]);
    command.args(["--profile", "agent", "--profile", "discovery"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", directory.display()));
    command.env("CONTAINERS_CONF", store.path("containers.conf"));
    let output = good(command, place);
    for container in ["pair_pull_1", "pair_process_1"] {
        for state in ["healthy", "is user 65532", "may 0000000000000000"] {
            assert!(output.contains(&format!("{container} {state}")), "{container} {state}:\n{output}");
        }
    }
    for kept in ["discovery has list.json", "agent has state.json"] {
        assert!(output.contains(&format!("the volume {kept}")), "{output}");
    }
    assert!(!names(&store.path("store/volumes")).iter().any(|name| name.contains("queue")), "the volume is left");
}

#[test]
fn the_image_works_alone_and_in_pairs() {
    let peers = ["buildah", "podman", "runc", "haproxy", "socat"].map(|program| peer(program));
    let [Some(buildah), Some(podman), Some(_), Some(_), Some(_)] = peers else { return };
    let Some(compose) = python_tool("podman-compose", "PODMAN_COMPOSE") else { return };
    if !nix::unistd::geteuid().is_root() {
        harness::leave_out("the container image", "only root can build it without further preparation");
        return;
    }
    let store = Store::with_image(buildah);
    the_image_holds_all_that_the_programs_need(&store);
    pull_and_process_run_side_by_side(&store, &compose, &podman);
}
