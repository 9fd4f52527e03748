//! Who is who.

use super::*;

#[test]
fn a_group_that_is_misspelt_where_its_servers_are_listed_keeps_them() {
    let mut document = plan(None, Some(&listing(START, [1, 2].map(|n| of_group(n, "blue")))), START, &settings(4));
    let misspelt = Listing {
        failed: vec![FailedGroup { group: "blue".into(), reason: "nobody is of it".into() }],
        ..listing(START + 1, [1, 2].map(|n| of_group(n, "bleu")))
    };
    document = plan(Some(&document), Some(&misspelt), START + 1, &settings(4));
    let groups =
        |document: &Document| -> Vec<String> { document.servers().map(|(_, one)| one.group.clone()).collect() };
    assert_eq!(groups(&document), ["blue", "blue"], "the group could not be listed");
    let good = listing(START + 2, [of_group(1, "green"), of_group(2, "blue")]);
    document = plan(Some(&document), Some(&good), START + 2, &settings(4));
    assert_eq!(groups(&document), ["green", "blue"], "who goes to another group goes there");
}

#[test]
fn who_takes_over_an_address_is_another_server_and_begins_its_ramp() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2]);
    rounds.wait(1000);
    let mut heir = instance(1);
    heir.id = "i-77".to_owned();
    heir.group = "other".to_owned();
    assert_eq!(rounds.see([heir, instance(2)]), "77 02 -");
    let server = rounds.document.slots[0].server.clone().unwrap();
    assert_eq!((server.weight, server.group.as_str(), server.name.as_str()), (1, "other", "web1"));
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().weight, 10);
}

#[test]
fn an_instance_with_another_address_or_port_is_another_server() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers([1, 2]);
    let mut moved = instance(1);
    moved.addresses = vec![IpAddr::from([10, 0, 0, 99])];
    let mut other = instance(2);
    other.port = Some(81);
    rounds.see([moved.clone(), other.clone(), instance(2)]);
    assert_eq!(shown(&rounds.document), "01 02 01 02");
    let addresses: Vec<_> =
        rounds.document.servers().map(|(_, server)| server.address().unwrap().to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.99", "10.0.0.2"]);
}

#[test]
fn a_server_that_somebody_wrote_into_two_slots_leaves_the_later_one() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2]);
    rounds.document.slots[2].server = rounds.document.slots[0].server.clone();
    assert_eq!(rounds.see_numbers([1, 2]), "01 02 ~01");
    assert_eq!(rounds.wait(60), "01 02 -");
}
