//! Packages, role and module, each made from the programs of this build and used: installed with a backlog,
//! upgraded, removed, applied twice. What changes a system does so in a machine of its own.

use crate::document::Document;
use crate::harness::machine::{Machine, delivered, good, install_programs, stand_ins, waiting};
use crate::harness::{SOON, names, peer, python_tool, root, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PULL: &str = "haproxystats-pull";
const PROCESS: &str = "haproxystats-process";

/// What is made once for all tests of this file: two versions of each package.
struct Made {
    debian: [PathBuf; 2],
    rpm: [PathBuf; 2],
}

/// Packages of the programs of this build, without symbols; in one place, which the next run clears.
fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        let _ = std::fs::remove_dir_all(&directory);
        let source = directory.join("source");
        let programs = source.join("target/release");
        install_programs(&programs);
        for name in ["CHANGELOG.md", "Cargo.toml", "LICENSE", "README.md", "contrib", "docs", "haproxystats.conf"] {
            let mut command = Command::new("cp");
            command.arg("-a").arg(root().join(name)).arg(&source);
            good(command, &directory);
        }
        Made {
            debian: [documented_debian_package(&source), debian_package(&programs, &directory, LATER)],
            rpm: [documented_rpm_package(&source, &directory), rpm_package(&programs, &directory, LATER)],
        }
    })
}

/// The version of the second packages; that of the first ones is the project's.
const LATER: &str = "1.0.1";

/// The commands of docs/installation.md: the one that makes the package, and the one that installs it.
fn debian_commands() -> [String; 2] {
    let [block] = Document::installation().under("Debian package", "sh");
    block.commands().try_into().unwrap()
}

/// Made as docs/installation.md has it.
fn documented_debian_package(source: &Path) -> PathBuf {
    let [make, _] = debian_commands();
    let mut command = Command::new("bash");
    command.args(["-ec", &make]);
    quickly(command.env("DEBFULLNAME", "Test").env("DEBEMAIL", "test@debian.org"));
    good(command, source);
    let name = names(source).into_iter().find(|name| name.ends_with(".deb")).unwrap();
    source.join(name)
}

/// Made as docs/installation.md has it, by a user whose macros say where to.
fn documented_rpm_package(source: &Path, directory: &Path) -> PathBuf {
    let top = directory.join("documented");
    let macros = format!("%_topdir {}\n%_binary_payload w1.gzdio\n", top.display());
    std::fs::write(directory.join(".rpmmacros"), macros).unwrap();
    let [block] = Document::installation().under("RPM package", "sh");
    let mut command = Command::new("bash");
    command.args(["-ec", &block.text]).env("HOME", directory);
    good(command, source);
    let packages = top.join("RPMS").join(std::env::consts::ARCH);
    packages.join(names(&packages).first().unwrap())
}

/// Packs quickly instead of tightly.
fn quickly(command: &mut Command) {
    command.env("DEB_BUILD_OPTIONS", "fast nocheck");
}

/// Whether packages can be made here.
fn can_make() -> bool {
    ["dpkg-buildpackage", "dh", "rpmbuild"].iter().all(|program| peer(program).is_some())
}

fn debian_package(programs: &Path, output: &Path, version: &str) -> PathBuf {
    let mut command = Command::new(root().join("contrib/debian/build"));
    command.arg(programs).arg(output).arg(version);
    quickly(command.env("DEBFULLNAME", "Test").env("DEBEMAIL", "test@debian.org"));
    good(command, output);
    let name = names(output).into_iter().find(|name| name.contains(&format!("_{version}_"))).unwrap();
    output.join(name)
}

fn rpm_package(programs: &Path, output: &Path, version: &str) -> PathBuf {
    let mut command = Command::new("rpmbuild");
    command.arg("-bb").arg(root().join("contrib/rpm/haproxystats.spec"));
    for definition in [
        format!("_topdir {}", output.display()),
        format!("programs {}", programs.display()),
        format!("sources {}", env!("CARGO_MANIFEST_DIR")),
        format!("version_override {version}"),
        "_binary_payload w1.gzdio".to_owned(),
    ] {
        command.args(["--define", &definition]);
    }
    good(command, output);
    let packages = output.join("RPMS").join(std::env::consts::ARCH);
    let name = names(&packages).into_iter().find(|name| name.contains(version)).unwrap();
    packages.join(name)
}

fn settings(machine: &Machine) {
    let text = "[pull]\nsocket-dir = /run/haproxy\npull-interval = 1\npull-timeout = 0.9\n\
                [process]\nworkers = 2\n[graphite]\nsettle = 0.1\n";
    machine.write("/etc/haproxystats.conf", text);
    machine.run(&["systemctl", "restart", PULL, PROCESS]);
}

#[track_caller]
fn wait_for_metrics(machine: &Machine, when: &str) {
    let before = delivered(machine).len();
    wait_until(SOON, &format!("metrics {when}"), || delivered(machine).len() > before);
}

#[track_caller]
fn nothing_is_left(machine: &Machine) {
    // Except what the host has: the machine begins with its files, and images of haproxystats may be among them.
    let left = machine.sh("find /etc /usr /var/lib /var/cache /run -xdev -iname '*haproxystats*' \
         -not -path '/usr/share/doc/*' -not -path '/var/lib/rpm/*' -not -path '/run/log/*' \
         -not -path '/var/lib/containers/*' 2>/dev/null; true");
    assert_eq!(left.trim(), "", "left behind");
    assert!(!machine.try_run(&["pgrep", "-f", "/usr/bin/haproxystats-"]).0, "still running");
}

#[test]
fn packages_live_and_die_in_a_machine() {
    if !can_make() || peer("puppet").is_none() {
        return;
    }
    let Some(ansible) = python_tool("ansible-playbook", "ANSIBLE_PLAYBOOK") else { return };
    let stage = tempfile::tempdir().unwrap();
    stand_ins(stage.path());
    let packages = stage.path().join("root/packages");
    std::fs::create_dir_all(&packages).unwrap();
    let inside = |package: &PathBuf| {
        let name = package.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(package, packages.join(&name)).unwrap();
        format!("/root/packages/{name}")
    };
    let debian = made().debian.each_ref().map(inside);
    let rpm = made().rpm.each_ref().map(inside);
    let Some(machine) = Machine::boot(stage.path()) else { return };
    machine.run(&["systemctl", "start", "graphite", "lb"]);

    the_debian_package(&machine, &debian);
    the_rpm_package(&machine, &rpm);
    the_role(&machine, &ansible, &debian[0]);
    machine.run(&["dpkg", "--purge", "haproxystats"]);
    machine.sh("rm -rf /etc/systemd/system/haproxystats-*");
    the_module(&machine, &debian[0]);
}

fn the_debian_package(machine: &Machine, versions: &[String; 2]) {
    let [_, install] = debian_commands();
    let alone = "/root/documented";
    machine.sh(&format!("mkdir {alone}; cp {} {alone}", versions[0]));
    machine.run(&["bash", "-ec", &format!("cd {alone}; {install}")]);
    for unit in [PULL, PROCESS] {
        machine.wait_for_property(unit, "ActiveState", "active");
        assert_eq!(machine.property(unit, "UnitFileState"), "enabled");
    }
    // What would listen, or change HAProxy, waits for the administrator.
    for unit in ["haproxystats-agent", "haproxystats-discovery-server", "haproxystats-discovery-client"] {
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
        assert_eq!(machine.property(unit, "UnitFileState"), "disabled");
    }
    settings(machine);
    machine.run(&["systemctl", "start", "haproxystats-agent"]);
    wait_for_metrics(machine, "of the new package");
    // The checks find programs and directories, as any user.
    for check in ["queue_size.py", "process.sh", "process_number_of_procs.sh", "pull.sh"] {
        machine.run(&[
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            "/bin/sh",
            &format!("/usr/lib/nagios/plugins/check_haproxystats_{check}"),
        ]);
    }
    machine.run(&["man", "-w", "haproxystats-pull"]);

    // An upgrade while Graphite is away and snapshots wait.
    machine.run(&["systemctl", "stop", "graphite"]);
    wait_until(SOON, "a backlog", || waiting(machine) >= 3);
    let old = [PULL, PROCESS, "haproxystats-agent"].map(|unit| machine.property(unit, "MainPID"));
    machine.run(&["dpkg", "-i", &versions[1]]);
    let new = [PULL, PROCESS, "haproxystats-agent"].map(|unit| {
        machine.wait_for_property(unit, "ActiveState", "active");
        machine.property(unit, "MainPID")
    });
    assert!(old.iter().zip(&new).all(|(old, new)| old != new && new != "0"), "{old:?} {new:?}");
    assert!(machine.read("/etc/haproxystats.conf").contains("pull-interval = 1"), "the configuration was kept");
    machine.run(&["systemctl", "start", "graphite"]);
    wait_until(SOON, "the backlog is delivered", || waiting(machine) <= 1);
    machine.run(&["systemctl", "stop", PULL]);
    wait_until(SOON, "the queue is empty", || waiting(machine) == 0);
    let (got, journal) = (delivered(machine), machine.journal(PULL));
    let published = journal.lines().filter(|line| line.contains("published=true"));
    let published = published.filter_map(|line| line.split("snapshot=").nth(1)?.split(' ').next()?.parse::<u64>().ok());
    let lost: Vec<u64> = published.filter(|second| !got.contains(second)).collect();
    assert!(lost.is_empty() && got.len() > 3, "pulled and never delivered: {lost:?}");

    machine.run(&["dpkg", "--remove", "haproxystats"]);
    assert!(machine.path("/etc/haproxystats.conf").exists(), "remove keeps the configuration");
    machine.run(&["dpkg", "--purge", "haproxystats"]);
    nothing_is_left(machine);
}

fn the_rpm_package(machine: &Machine, versions: &[String; 2]) {
    // The dependencies are there, as packages of Debian, of which rpm knows nothing.
    machine.run(&["rpm", "-i", "--nodeps", "--force-debian", &versions[0]]);
    machine.run(&["systemctl", "enable", "--now", PULL, PROCESS]);
    settings(machine);
    wait_for_metrics(machine, "of the RPM package");
    let old = machine.property(PROCESS, "MainPID");
    machine.run(&["rpm", "-U", "--nodeps", "--force-debian", &versions[1]]);
    assert_ne!(machine.property(PROCESS, "MainPID"), old, "restarted by the upgrade");
    assert!(machine.read("/etc/haproxystats.conf").contains("pull-interval = 1"), "the configuration was kept");
    wait_for_metrics(machine, "after the upgrade");
    machine.run(&["rpm", "-e", "haproxystats"]);
    for unit in [PULL, PROCESS] {
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
    }
    // What it kept: the changed configuration, and the queue, which no package of RPM removes.
    machine.sh("rm -rf /etc/haproxystats.conf.rpmsave /var/lib/haproxystats");
    machine.sh("rm -rf /usr/share/doc/haproxystats; systemctl daemon-reload");
    nothing_is_left(machine);
}

/// Puts the package where a recipe of docs/installation.md expects it.
#[track_caller]
fn place(machine: &Machine, recipe: &str, package: &str) {
    let paths = recipe.split(['\'', ' ']).filter(|word| word.starts_with('/') && word.ends_with(".deb"));
    let [path] = paths.collect::<Vec<_>>()[..] else { panic!("no package in:\n{recipe}") };
    machine.run(&["install", "-D", package, path]);
}

/// First as docs/installation.md has it. Then twice: the second time nothing changes.
fn the_role(machine: &Machine, ansible: &Path, package: &str) {
    let directory = "/root/ansible";
    let hosts = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n";
    machine.write(&format!("{directory}/hosts"), &format!("[haproxy]\n{hosts}"));
    let variables = format!(
        "{{\"haproxystats_package\": \"{package}\", \"haproxystats_nice\": 5, \"haproxystats_settings\": {{\
         \"pull\": {{\"socket-dir\": \"/run/haproxy\", \"pull-interval\": 1, \"pull-timeout\": 0.9}}, \
         \"process\": {{\"workers\": 1, \"aggr-server-metrics\": true}}, \"agent:web\": {{\"checks\": \"load\"}}}}}}"
    );
    machine.write(&format!("{directory}/variables.json"), &variables);
    let [documented] = Document::installation().under("Ansible", "yaml");
    place(machine, &documented.text, package);
    machine.write(&format!("{directory}/documented.yml"), &documented.text);
    let shipped = root().join("contrib/ansible/site.yml");
    let playbook = |site: &Path, options: &str| {
        let line = format!(
            "cd {directory}; export ANSIBLE_ROLES_PATH={} ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false; \
             {} -i hosts {options} {}",
            root().join("contrib/ansible/roles").display(),
            ansible.display(),
            site.display()
        );
        machine.try_run(&["sh", "-ec", &line])
    };
    let (good, output) = playbook(Path::new("documented.yml"), "");
    assert!(good && machine.read("/etc/haproxystats.conf").contains("server = graphite.example.com\n"), "{output}");
    let playbook = |options: &str| playbook(&shipped, &format!("-e @variables.json {options}"));
    let (good, first) = playbook("");
    assert!(good, "{first}");
    wait_for_metrics(machine, "of the role");
    let (good, second) = playbook("--diff");
    assert!(good && second.contains(" changed=0 "), "{second}");
    // Another configuration is a reload: the programs stay.
    let pids = || [PULL, PROCESS].map(|unit| machine.property(unit, "MainPID"));
    let before = pids();
    // Not the number of workers, with which their CPUs change.
    let other = variables.replace("\"aggr-server-metrics\": true", "\"aggr-server-metrics\": false");
    machine.write(&format!("{directory}/variables.json"), &other);
    let (good, third) = playbook("");
    assert!(good && machine.read("/etc/haproxystats.conf").contains("aggr-server-metrics = false\n"), "{third}");
    assert_eq!(pids(), before);
    machine.write(&format!("{directory}/variables.json"), &variables);
    let (good, fourth) = playbook("");
    assert!(good, "{fourth}");
    let text = machine.read("/etc/haproxystats.conf");
    assert!(
        text.contains("[process]\nworkers = 1\naggr-server-metrics = true\n") && text.contains("[agent:web]\n"),
        "{text}"
    );
    let count: usize = machine.sh("nproc --all").trim().parse().unwrap();
    let drop_in = machine.read("/etc/systemd/system/haproxystats-process.service.d/resources.conf");
    assert!(drop_in.contains(&format!("CPUAffinity={}\nNice=5\n", count - 1)), "{drop_in}");

    // An option that does not exist, and a value that cannot be: nothing is changed.
    for (bad, words) in [
        ("'{\"haproxystats_settings\": {\"pull\": {\"pull-intervall\": 1}}}'", "pull-intervall"),
        ("'{\"haproxystats_settings\": {\"process\": {\"workers\": \"many\"}}}'", "failed to validate"),
        // What haproxystats-process does not read, and haproxystats-pull does.
        ("'{\"haproxystats_settings\": {\"pull\": {\"pull-interval\": \"often\"}}}'", "failed to validate"),
    ] {
        let (good, output) = playbook(&format!("-e {bad}"));
        assert!(!good && output.contains(words), "{output}");
        assert_eq!(machine.read("/etc/haproxystats.conf"), text);
    }
}

/// First as docs/installation.md has it. Then twice: the second time nothing changes.
fn the_module(machine: &Machine, package: &str) {
    let manifest = |settings: &str| {
        format!(
            "class {{ 'haproxystats': package_source => '{package}', settings => {settings}, \
                 agents => {{ 'web' => {{ 'checks' => 'load' }} }} }}\n"
        )
    };
    let apply_manifest = |manifest: &str| {
        machine.write("/root/site.pp", manifest);
        let modules = root().join("contrib/puppet");
        let output = machine.output(&[
            "puppet",
            "apply",
            "--detailed-exitcodes",
            "--modulepath",
            modules.to_str().unwrap(),
            "/root/site.pp",
        ]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap(), text)
    };
    let apply = |settings: &str| apply_manifest(&manifest(settings));
    let [documented] = Document::installation().under("Puppet", "puppet");
    place(machine, &documented.text, package);
    let (code, text) = apply_manifest(&documented.text);
    assert_eq!(code, 2, "changes, and no failure:\n{text}");
    assert!(machine.read("/etc/haproxystats.conf").contains("server = graphite.example.com\n"), "{text}");
    let settings = "{ 'pull' => { 'socket-dir' => '/run/haproxy', 'pull-interval' => 1, 'pull-timeout' => 0.9 }, \
                    'process' => { 'workers' => 2, 'status-metrics' => true } }";
    let (code, text) = apply(settings);
    assert_eq!(code, 2, "changes, and no failure:\n{text}");
    wait_for_metrics(machine, "of the module");
    let (code, text) = apply(settings);
    assert_eq!(code, 0, "no changes, and no failure:\n{text}");
    let configuration = machine.read("/etc/haproxystats.conf");
    assert!(configuration.contains("[process]\nworkers = 2\nstatus-metrics = true\n"), "{configuration}");
    assert!(configuration.contains("[agent:web]\nchecks = load\n"), "{configuration}");
    // Workers on the last CPUs, as many as there are workers; pull on the last one.
    let count: usize = machine.sh("nproc --all").trim().parse().unwrap();
    let cpus: Vec<String> = (count.saturating_sub(2)..count).map(|cpu| cpu.to_string()).collect();
    for (unit, cpus) in [(PROCESS, cpus.join(" ")), (PULL, (count - 1).to_string())] {
        let drop_in = machine.read(&format!("/etc/systemd/system/{unit}.service.d/resources.conf"));
        assert!(drop_in.contains(&format!("CPUAffinity={cpus}\n")), "{drop_in}");
    }
    let (code, text) = apply("{ 'pull' => { 'pull-intervall' => 1 } }");
    assert!(![0, 2].contains(&code) && text.contains("pull-intervall"), "{text}");
    // What haproxystats-process does not read, and haproxystats-pull does: nothing is changed.
    let (code, text) = apply("{ 'pull' => { 'pull-interval' => 'often' } }");
    assert!(![0, 2].contains(&code), "{text}");
    assert_eq!(machine.read("/etc/haproxystats.conf"), configuration);
    // Another configuration is a reload: the programs stay.
    let pids = || [PULL, PROCESS].map(|unit| machine.property(unit, "MainPID"));
    let before = pids();
    let (code, text) = apply(&settings.replace("'status-metrics' => true", "'status-metrics' => false"));
    assert_eq!(code, 2, "{text}");
    assert!(machine.read("/etc/haproxystats.conf").contains("status-metrics = false\n"));
    assert_eq!(pids(), before);
}

#[test]
fn links_of_the_documents_in_the_package_lead_somewhere() {
    if !can_make() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("dpkg-deb");
    command.arg("-x").arg(&made().debian[0]).arg(directory.path());
    good(command, directory.path());
    let documents = directory.path().join("usr/share/doc/haproxystats");
    let pages = names(&documents.join("docs")).into_iter().filter(|name| name.ends_with(".md"));
    let pages: Vec<PathBuf> = pages.map(|name| documents.join("docs").join(name)).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages.into_iter().chain([documents.join("README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains(':') {
                continue;
            }
            let target = page.parent().unwrap().join(link);
            // A link of the package may lead out of what was unpacked here.
            let there = target.exists() || target.symlink_metadata().is_ok();
            assert!(there, "{}: {link}", page.display());
        }
    }
}

#[test]
fn the_commands_of_the_first_playbook_work_as_they_are_written() {
    let Some(ansible) = python_tool("ansible-playbook", "ANSIBLE_PLAYBOOK") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(ansible);
    command.args(["-i", "hosts", "main-playbook.yml", "--syntax-check"]).env("HOME", scratch.path());
    let output = good(command, &root().join("contrib/ansible-playbook"));
    assert!(output.contains("playbook: main-playbook.yml"), "{output}");
    // The image is not built there: its only line says where.
    let text = std::fs::read_to_string(root().join("contrib/Docker/Dockerfile")).unwrap();
    assert!(text.lines().last().unwrap().contains("contrib/docker/build"), "{text}");
}

#[test]
fn the_spec_has_the_version_of_cargo() {
    let spec = std::fs::read_to_string(root().join("contrib/rpm/haproxystats.spec")).unwrap();
    let version = env!("CARGO_PKG_VERSION").replace('-', "~");
    assert!(spec.contains(&format!("%{{!?version_override:{version}}}\n")), "{version}");
}

#[test]
fn checkers_have_nothing_to_say() {
    let scratch = tempfile::tempdir().unwrap();
    if let Some(lint) = peer("puppet-lint") {
        let mut command = Command::new(lint);
        command.arg("--fail-on-warnings").arg(root().join("contrib/puppet"));
        assert_eq!(good(command, scratch.path()), "");
    }
    if let Some(lint) = python_tool("ansible-lint", "ANSIBLE_LINT") {
        // It writes beside what it reads.
        let copy = scratch.path().join("ansible");
        let mut command = Command::new("cp");
        command.arg("-a").arg(root().join("contrib/ansible")).arg(&copy);
        good(command, scratch.path());
        let mut command = Command::new(&lint);
        let tools = lint.parent().unwrap().display().to_string();
        command.args(["--offline", "--strict", "--nocolor"]).env("HOME", scratch.path());
        command.env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap()));
        let output = good(command, &copy);
        assert!(output.contains("0 failure(s), 0 warning(s)"), "{output}");
    }
    if let Some(lint) = python_tool("hadolint", "HADOLINT") {
        let mut command = Command::new(lint);
        command.arg(root().join("contrib/docker/Dockerfile"));
        assert_eq!(good(command, scratch.path()), "");
    }
    if !can_make() {
        return;
    }
    if let Some(lint) = peer("lintian") {
        let mut command = Command::new(lint);
        command.args(["--allow-root", "--fail-on", "error,warning"]).arg(&made().debian[0]);
        good(command, scratch.path());
    }
    if let Some(lint) = peer("rpmlint") {
        let mut command = Command::new(lint);
        command
            .arg("-c")
            .arg(root().join("contrib/rpm/rpmlint.toml"))
            .arg(root().join("contrib/rpm/haproxystats.spec"))
            .arg(&made().rpm[0]);
        let output = good(command, scratch.path());
        assert!(output.contains(" 0 errors"), "{output}");
    }
}
