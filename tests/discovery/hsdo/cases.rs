//! The answers that HSDO is recorded with.

use super::{Answer, Case, Instance, Kind, SLOTS, good, running};
use std::collections::BTreeMap;

/// Numbers that are the same at each recording.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.roll(last + 1));
        }
    }
}

/// Number `number` of a group.
fn one(number: usize, group: &str) -> Instance {
    Instance {
        id: format!("i-{number:02}"),
        group: group.to_owned(),
        address: Some(format!("127.10.0.{number}")),
        life: good(),
        unhealthy: false,
        machine: running(),
        service: None,
    }
}

/// All of one group. The last one is listed first: HSDO takes newcomers from the end.
fn some(numbers: &[usize]) -> Vec<Instance> {
    numbers.iter().rev().map(|number| one(*number, "asg-a")).collect()
}

fn answer(instances: Vec<Instance>) -> Answer {
    Answer { instances, ..Answer::default() }
}

fn lists(numbers: &[usize]) -> Answer {
    answer(some(numbers))
}

fn failing(status: u16) -> Answer {
    Answer { failure: Some(status), ..Answer::default() }
}

/// The same with one of them changed.
fn with(numbers: &[usize], number: usize, change: impl Fn(&mut Instance)) -> Answer {
    let mut instances = some(numbers);
    instances.iter_mut().filter(|instance| instance.id == format!("i-{number:02}")).for_each(change);
    answer(instances)
}

fn case(name: &str, kind: Kind, difference: &str, answers: Vec<Answer>) -> Case {
    Case {
        name: name.to_owned(),
        kind,
        difference: difference.to_owned(),
        defaults: false,
        settings: BTreeMap::new(),
        answers,
        hsdo: Vec::new(),
    }
}

/// Servers come, one at a time or in order, go, return, and are listed in any order; time passes.
fn life(dice: &mut Dice, kind: Kind, length: usize) -> Vec<Answer> {
    let groups: &[&str] = match (kind, dice.roll(3)) {
        (Kind::Consul, _) => &["web"],
        (Kind::Aws, 0) => &["asg-a"],
        (Kind::Aws, 1) => &["asg-a", "asg-b"],
        (Kind::Aws, _) => &["asg-a", "asg-b", "asg-c"],
    };
    let (mut listed, mut gone, mut next): (Vec<Instance>, Vec<Instance>, usize) = (Vec::new(), Vec::new(), 1);
    let mut answers = Vec::new();
    while answers.len() < length {
        let what = if listed.is_empty() { 0 } else { dice.roll(8) };
        match what {
            // As long as there is room: whom a full list gives the next slot is a matter of order.
            0 | 1 if listed.len() < SLOTS => {
                for _ in 0..(1 + dice.roll(3)).min(SLOTS - listed.len()) {
                    listed.push(one(next, groups[dice.roll(groups.len())]));
                    next += 1;
                }
            }
            2 | 3 if listed.len() > 1 => {
                let leaves = dice.roll(listed.len());
                gone.push(listed.remove(leaves));
            }
            4 if !gone.is_empty() && listed.len() < SLOTS => {
                let returns = dice.roll(gone.len());
                listed.push(gone.remove(returns));
            }
            5 if kind == Kind::Aws => {
                let at = dice.roll(listed.len());
                // A machine that is stopped serves no more; one without an address never did.
                listed[at].machine = "stopped".to_owned();
                gone.push(listed.remove(at));
                let mut ended: Vec<Instance> = gone.last().cloned().into_iter().chain(listed.clone()).collect();
                ended.sort_by(|one, other| other.id.cmp(&one.id));
                answers.push(answer(ended));
                gone.last_mut().unwrap().machine = running();
                continue;
            }
            6 if kind == Kind::Aws && listed.len() < SLOTS => {
                let mut nowhere = one(next, groups[0]);
                nowhere.address = None;
                next += 1;
                answers.push(answer(listed.iter().cloned().chain([nowhere]).collect()));
                continue;
            }
            // Nothing changes but the time.
            _ => {}
        }
        let mut instances = listed.clone();
        instances.sort_by(|one, other| other.id.cmp(&one.id));
        let before: Vec<&Instance> =
            answers.last().map_or_else(Vec::new, |answer: &Answer| answer.instances.iter().collect());
        if instances.iter().all(|instance| before.contains(&instance)) {
            dice.shuffle(&mut instances);
        }
        answers.push(answer(instances));
    }
    answers
}

/// Days without trouble: almost all of it is the same in both programs.
fn alike(dice: &mut Dice) -> Vec<Case> {
    let mut cases = Vec::new();
    for number in 0..24 {
        // Where the dice let an old server go that had most of the weight.
        let difference = if [10, 19].contains(&number) { HEIRS } else { "" };
        cases.push(case(&format!("life of groups {number}"), Kind::Aws, difference, life(dice, Kind::Aws, 8)));
    }
    for number in 0..8 {
        cases.push(case(&format!("life of a service {number}"), Kind::Consul, "", life(dice, Kind::Consul, 8)));
    }
    let ramp = |name: &str, settings: &[(&str, &str)]| {
        let mut ramp = case(name, Kind::Aws, "", (0..12).map(|_| lists(&[1, 2])).collect());
        ramp.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ramp
    };
    cases.push(ramp("the whole ramp", &[]));
    cases.push(ramp(
        "a ramp of other steps",
        &[("SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT", "100"), ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT", "12")],
    ));
    cases.push(case(
        "a full list, and room later",
        Kind::Aws,
        "",
        vec![
            lists(&[1, 2, 3, 4, 5, 6]),
            lists(&[1, 2, 3, 4, 5, 6, 7]),
            lists(&[1, 2, 3, 4, 5, 6, 7]),
            lists(&[1, 2, 3, 4, 5, 6]),
        ],
    ));
    cases.push(case("Consul fails for a while", Kind::Consul, PAUSE, {
        let two: Vec<Instance> = [2, 1].map(|number| one(number, "web")).to_vec();
        vec![answer(two.clone()), failing(500), failing(503), answer(two)]
    }));
    cases
}

const FAILS: &str = "a source that fails, or lists nobody";
const PAUSE: &str = "the ramp while the source fails";
const HEIRS: &str = "servers that go and leave less than half of the weight";
const PAGES: &str = "more than one page of groups, instances or rows";
const ACCOUNT: &str = "groups that are all empty";
const LIFE: &str = "instances in `Standby`, `Pending:Wait`, `Terminating:Wait`, or unhealthy";
const TERMINATED: &str = "an instance that was terminated just now";
const LEAST: &str = "`..._MIN_WEIGHT`";
const ADDRESS: &str = "an address that another instance takes over";
const MASS: &str = "a listing that lacks most servers";
const ONCE: &str = "a server that a listing lacks once";
const ORDER: &str = "several newcomers in one listing";
const FREED: &str = "a newcomer in the listing that lacks another server";
const GROUP: &str = "a server that changes its group";
const SHARED: &str = "two instances with the same address";
const DEDICATED: &str = "`CLIENT_DEDICATED_ASG`: a slot that is freed, or goes to another group";
const CHECKS: &str = "Consul: critical checks, and maintenance";
const SERVICE: &str = "Consul: address and port of the service";
const WEIGHTS: &str = "Consul: weights";

/// What differs with AWS.
fn of_aws() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, difference, answers| cases.push(case(name, Kind::Aws, difference, answers));
    for status in [400, 403, 500, 503] {
        add(&format!("AWS answers {status}"), FAILS, vec![lists(&[1, 2]), failing(status), lists(&[1, 2, 3])]);
    }
    let group = |number: usize, group: &str| one(number, group);
    let of =
        |groups: &[&str]| groups.iter().enumerate().rev().map(|(at, name)| group(at + 1, name)).collect::<Vec<_>>();
    for page in [1, 2, 3] {
        let answer = Answer { page, ..answer(of(&["asg-a", "asg-a", "asg-b", "asg-c"])) };
        add(&format!("pages of {page}"), PAGES, vec![answer.clone(), answer]);
    }
    add("nobody at the start", ACCOUNT, vec![lists(&[]), lists(&[1]), lists(&[1, 2])]);
    for life in ["Standby", "Pending:Wait", "Terminating:Wait", "Terminating", "EnteringStandby"] {
        let change = |instance: &mut Instance| instance.life = life.to_owned();
        add(
            life,
            LIFE,
            vec![lists(&[1, 2]), with(&[1, 2, 3], 3, change), with(&[1, 2, 3], 3, change), lists(&[1, 2, 3])],
        );
        add(&format!("{life} later"), LIFE, vec![lists(&[1, 2, 3]), with(&[1, 2, 3], 2, change), lists(&[1, 3])]);
    }
    let sick = |instance: &mut Instance| instance.unhealthy = true;
    add("unhealthy", LIFE, vec![lists(&[1, 2, 3]), with(&[1, 2, 3], 2, sick), with(&[1, 2, 3], 2, sick)]);
    let gone = |instance: &mut Instance| instance.machine = "gone".to_owned();
    add("terminated", TERMINATED, vec![lists(&[1, 2, 3]), with(&[1, 2, 3], 2, gone), lists(&[1, 3])]);
    add("terminated with a newcomer", TERMINATED, vec![lists(&[1, 2]), with(&[1, 2, 3], 1, gone), lists(&[2, 3])]);
    let other = |instance: &mut Instance| instance.id = "i-50".to_owned();
    for number in [1, 2] {
        let taken = with(&[1, 2], number, other);
        add(
            &format!("another instance at the address of {number}"),
            ADDRESS,
            vec![lists(&[1, 2]), lists(&[1, 2]), lists(&[1, 2]), taken.clone(), taken],
        );
    }
    for numbers in [[1, 2], [2, 4], [3, 6]] {
        let mut forwards = some(&numbers);
        forwards.reverse();
        add(&format!("{numbers:?} in order"), ORDER, vec![answer(forwards.clone()), answer(forwards)]);
    }
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        let all = [1, 2, 3];
        let kept: Vec<usize> = all.into_iter().filter(|number| *number != old).chain([new]).collect();
        add(&format!("{new} comes for {old}"), FREED, vec![lists(&all), lists(&kept), lists(&kept)]);
    }
    let moves = |instance: &mut Instance| instance.group = "asg-b".to_owned();
    add("another group", GROUP, vec![lists(&[1, 2]), with(&[1, 2], 2, moves), with(&[1, 2], 2, moves)]);
    let shares = |instance: &mut Instance| instance.address = Some("127.10.0.1".to_owned());
    add(
        "the same address",
        "",
        vec![lists(&[1, 3]), with(&[1, 2, 3], 2, shares), with(&[1, 2, 3], 2, shares), lists(&[1, 3])],
    );
    add(
        "the same address at first",
        SHARED,
        vec![with(&[1, 2, 3], 2, shares), with(&[1, 2, 3], 2, shares), lists(&[1, 3])],
    );
    cases
}

/// What this program holds back.
fn held() -> Vec<Case> {
    let all = [1, 2, 3, 4, 5, 6];
    let held = |name: &str, difference, answers| Case { defaults: true, ..case(name, Kind::Aws, difference, answers) };
    let mut cases = Vec::new();
    for left in [1, 2] {
        let bad = lists(&all[..left]);
        cases.push(held(
            &format!("{left} of 6 are left"),
            MASS,
            vec![lists(&all), bad.clone(), bad.clone(), bad.clone(), bad, lists(&all)],
        ));
    }
    for missing in 1..=3 {
        let others: Vec<usize> = all.into_iter().filter(|number| *number != missing).collect();
        cases.push(held(&format!("without {missing} once"), ONCE, vec![lists(&all), lists(&others), lists(&all)]));
    }
    let nobody = |kind, group: &str| {
        let everybody = answer([3, 2, 1].map(|number| one(number, group)).to_vec());
        let answers = vec![everybody.clone(), lists(&[]), lists(&[]), lists(&[]), everybody];
        Case { defaults: true, ..case(&format!("nobody in {group}"), kind, FAILS, answers) }
    };
    cases.push(nobody(Kind::Consul, "web"));
    cases.push(Case { difference: ACCOUNT.to_owned(), ..nobody(Kind::Aws, "asg-a") });
    cases
}

/// With variables of their own.
fn configured() -> Vec<Case> {
    let mut least = case("a least weight of 5", Kind::Aws, LEAST, vec![lists(&[1, 2]), lists(&[1, 2]), lists(&[1, 2])]);
    least.settings.insert("SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT".to_owned(), "5".to_owned());
    let of = |groups: [&str; 3]| {
        let all = groups.iter().enumerate().rev().filter(|(_, group)| !group.is_empty());
        answer(all.map(|(at, group)| one(at + 1, group)).collect())
    };
    let dedicated = |name: &str, answers| {
        let mut case = case(name, Kind::Aws, DEDICATED, answers);
        let settings = [
            ("CLIENT_DEDICATED_ASG", "true"),
            ("CLIENT_ASG_NAMES", "asg-a"),
            ("CLIENT_HAPROXY_FALLBACK_BACKEND_NAME", "spare"),
            ("CLIENT_HAPROXY_FALLBACK_BACKEND_BASE_NAME", "spare"),
        ];
        case.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        case
    };
    let mut quiet = dedicated(
        "groups with backends of their own",
        vec![of(["asg-a", "asg-b", ""]), of(["asg-a", "asg-b", "asg-a"]), of(["asg-a", "asg-b", "asg-a"])],
    );
    quiet.difference.clear();
    vec![
        least,
        quiet,
        dedicated(
            "the own group loses one",
            vec![of(["asg-a", "asg-a", "asg-b"]), of(["", "asg-a", "asg-b"]), of(["", "asg-a", "asg-b"])],
        ),
        dedicated(
            "a slot goes to the other group",
            vec![
                of(["asg-a", "asg-a", "asg-b"]),
                of(["", "asg-a", "asg-b"]),
                answer(vec![one(4, "asg-b"), one(3, "asg-b"), one(2, "asg-a")]),
            ],
        ),
    ]
}

fn of_consul() -> Vec<Case> {
    let all = |change: &dyn Fn(&mut Instance)| {
        let mut instances: Vec<Instance> = [3, 2, 1].map(|number| one(number, "web")).to_vec();
        change(&mut instances[1]);
        answer(instances)
    };
    let well = || all(&|_| {});
    let mut cases = Vec::new();
    for status in ["critical", "maintenance"] {
        let bad = || all(&|instance| instance.life = status.to_owned());
        cases.push(case(&format!("Consul says {status}"), Kind::Consul, CHECKS, vec![well(), bad(), bad(), well()]));
    }
    for (name, address, port) in [("port", "", 9000), ("address", "127.10.1.2", 0), ("both", "127.10.1.2", 9000)] {
        let own = || all(&|instance| instance.service = Some((address.to_owned(), port, 1)));
        cases.push(case(&format!("{name} of the service"), Kind::Consul, SERVICE, vec![own(), own()]));
    }
    for weight in [2, 50] {
        let heavy = || all(&|instance| instance.service = Some((String::new(), 0, weight)));
        let answers = (0..10).map(|_| heavy()).collect();
        cases.push(case(&format!("a weight of {weight}"), Kind::Consul, WEIGHTS, answers));
    }
    cases
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut dice = Dice(15);
    [alike(&mut dice), of_aws(), held(), configured(), of_consul()].concat()
}
