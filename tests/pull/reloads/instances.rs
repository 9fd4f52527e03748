//! Two HAProxies on one host.

use super::World;
use crate::harness::newer::own_haproxy;
use crate::harness::{Daemon, SOON, free_port, pull, with_config, write};
use std::fs;

#[test]
fn two_instances_on_one_host_each_have_their_past() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    let place = world.place.path().to_owned();
    let (file, other) = (place.join("haproxystats.conf"), free_port());
    world.pull.wait_for_output("is running", SOON);
    world.pull.stop(SOON);
    let text = fs::read_to_string(place.join("haproxy.cfg")).unwrap();
    let text = text.replace("lb.sock", "lb2.sock").replace(&format!(":{}\n", world.port), &format!(":{other}\n"));
    write(&place, "haproxy2.cfg", text);
    let mut command = world.haproxy.command();
    command.arg("-W").arg("-S").arg(place.join("master2.sock")).arg("-f").arg(place.join("haproxy2.cfg"));
    let _second = Daemon::spawn(command);
    let text = fs::read_to_string(&file).unwrap();
    let both = format!("/master.sock,unix://{}/master2.sock\n", place.display());
    fs::write(&file, text.replace("/master.sock\n", &both)).unwrap();
    world.pull = Daemon::spawn(with_config(pull(), &file));
    world.open(2);
    let first = std::mem::replace(&mut world.port, other);
    world.open(3);
    world.transfer(400);
    world.assert_counts("at the start");
    world.reload();
    world.transfer(30);
    world.port = first;
    world.open(1);
    world.transfer(9);
    world.assert_counts("after a reload of one of them");
    world.restart_all_but(3);
    world.port = other;
    world.open(1);
    world.transfer(70);
    world.assert_counts("after a restart of one of them");
    world.pull.stop(SOON);
}
