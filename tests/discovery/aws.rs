//! Auto Scaling Groups as the source, on moto; what moto does not do, on a double.

use super::moto::Moto;
use super::program::{Site, page, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

const GROUP: &str = "
image = ec2.describe_images()['Images'][0]['ImageId']
subnet = ec2.describe_subnets()['Subnets'][0]['SubnetId']
def group(name, size):
    try: asg.create_launch_configuration(LaunchConfigurationName='lc', ImageId=image, InstanceType='t3.micro')
    except asg.exceptions.AlreadyExistsFault: pass
    asg.create_auto_scaling_group(AutoScalingGroupName=name, LaunchConfigurationName='lc', MinSize=0, MaxSize=500,
        DesiredCapacity=size, VPCZoneIdentifier=subnet)
def members(name):
    return [i['InstanceId'] for i in asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])['AutoScalingGroups'][0]['Instances']]
";

fn site(moto: &Moto, groups: &str) -> Site {
    let mut site = Site::new(&format!(
        "[discovery]\nhaproxy-backend-servers-list-size = 400\n[discovery-server]\nmode = aws\nasg-names = {groups}\n"
    ));
    site.environment = moto.environment();
    site
}

/// The servers of a plan, as `instance address group`.
fn planned(site: &Site) -> Vec<String> {
    let plan = site.good(&["--server", "--dry-run"]);
    let lines = plan.lines().filter_map(|line| line.strip_prefix("  "));
    let words = lines.map(|line| line.split(' ').collect::<Vec<_>>());
    words.map(|words| format!("{} {} {}", words[1], words[2], words[4])).collect()
}

#[test]
fn groups_of_many_pages_are_listed_to_their_end() {
    let Some(moto) = Moto::get() else { return };
    // More groups than a question may name, and more instances than a filter or a page of EC2 has room for.
    let wanted = moto.python(&format!(
        "{GROUP}\ngroup('pages-big', 210)\nfor n in range(60): group('pages-%d' % n, 1 if n % 20 == 0 else 0)\n\
         ids = members('pages-big') + [i for n in (0, 20, 40) for i in members('pages-%d' % n)]\nprint(' '.join(sorted(ids)))"
    ));
    let names: Vec<String> = (0..60).map(|n| format!("pages-{n}")).collect();
    let site = site(moto, &format!("pages-big,{}", names.join(",")));
    let mut got: Vec<String> = planned(&site).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    got.sort();
    assert_eq!(got, wanted.split(' ').collect::<Vec<_>>());
    assert_eq!(got.len(), 213);
}

#[test]
fn only_instances_that_are_healthy_and_in_service_are_used_with_their_addresses_and_groups() {
    let Some(moto) = Moto::get() else { return };
    let good = moto.python(&format!(
        "{GROUP}\ngroup('life-a', 3)\ngroup('life-b', 1)\nids = members('life-a')\n\
         asg.set_instance_health(InstanceId=ids[0], HealthStatus='Unhealthy')\n\
         asg.enter_standby(InstanceIds=[ids[1]], AutoScalingGroupName='life-a', ShouldDecrementDesiredCapacity=True)\n\
         for group, id in (('life-a', ids[2]), ('life-b', members('life-b')[0])):\n    \
             i = ec2.describe_instances(InstanceIds=[id])['Reservations'][0]['Instances'][0]\n    \
             print(id, i['PrivateIpAddress'], group, i.get('PublicIpAddress', '-'))"
    ));
    let mut wanted: Vec<String> = good.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    wanted.sort();
    let site = site(moto, "life-a,life-b,life-misspelt");
    assert_eq!(planned(&site), wanted);
    let told = site.good(&["--server", "--dry-run"]);
    assert!(told.contains("warning: group life-misspelt could not be listed: AWS has no such"), "{told}");
}

#[test]
fn an_instance_that_was_terminated_does_not_hide_the_others_and_empty_groups_hold_nobody_else() {
    let Some(moto) = Moto::get() else { return };
    moto.python(&format!(
        "{GROUP}\ngroup('gone', 2)\ngroup('empty', 0)\nec2.terminate_instances(InstanceIds=[members('gone')[0]])"
    ));
    let instances = planned(&site(moto, "gone"));
    assert!(!instances.is_empty(), "{instances:?}");
    let empty = site(moto, "empty");
    assert_eq!(planned(&empty), [] as [String; 0], "other instances of the account are not taken");
}

/// An endpoint that answers each request with the next of the texts, and keeps what it was asked.
fn scripted(answers: Vec<(u16, String)>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push(String::from_utf8(body).unwrap());
            let Some((status, text)) = answers.next() else { return };
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
        }
    });
    (port, asked)
}

fn scaling(members: &[(&str, &str, &str)], token: &str) -> String {
    let members: String = members
        .iter()
        .map(|(id, life, health)| format!("<member><InstanceId>{id}</InstanceId><LifecycleState>{life}</LifecycleState><HealthStatus>{health}</HealthStatus><AvailabilityZone>z</AvailabilityZone></member>"))
        .collect();
    let token = if token.is_empty() { String::new() } else { format!("<NextToken>{token}</NextToken>") };
    format!(
        "<DescribeAutoScalingGroupsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeAutoScalingGroupsResult>\
         <AutoScalingGroups><member><Instances>{members}</Instances><AutoScalingGroupName>g</AutoScalingGroupName></member></AutoScalingGroups>{token}\
         </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
    )
}

fn instances(ids: &[(&str, &str)], token: &str) -> String {
    let items: String = ids
        .iter()
        .map(|(id, address)| format!("<item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState><privateIpAddress>{address}</privateIpAddress></item>"))
        .collect();
    let token = if token.is_empty() { String::new() } else { format!("<nextToken>{token}</nextToken>") };
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet>{token}</DescribeInstancesResponse>"
    )
}

fn on(port: u16) -> Site {
    let mut site =
        Site::new("[discovery-server]\nmode = aws\nasg-names = g\nremoval-confirmations = 1\nhold-obsolete = 0\n");
    let pairs = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "t".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "t".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
    ];
    site.environment = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    site
}

#[test]
fn tokens_lead_from_page_to_page_of_both_services() {
    let (port, asked) = scripted(vec![
        (200, scaling(&[("i-1", "InService", "Healthy")], "more+/=")),
        (200, scaling(&[("i-2", "InService", "Healthy")], "")),
        (200, instances(&[("i-1", "10.0.0.1")], "ec2-more")),
        (200, instances(&[("i-2", "10.0.0.2")], "")),
    ]);
    assert_eq!(planned(&on(port)), ["i-1 10.0.0.1 g", "i-2 10.0.0.2 g"]);
    let asked = asked.lock().unwrap();
    assert!(asked[1].contains("NextToken=more%2B%2F%3D") && asked[3].contains("NextToken=ec2-more"), "{asked:?}");
    assert!(asked[2].contains("Filter.1.Name=instance-id") && !asked[2].contains("InstanceId."), "{asked:?}");
}

#[test]
fn instances_that_start_or_wait_to_be_terminated_have_no_traffic() {
    let states =
        ["InService", "Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Standby", "Warmed:Stopped"];
    let ids: Vec<String> = (0..states.len()).map(|n| format!("i-{n}")).collect();
    let members: Vec<_> = ids.iter().zip(states).map(|(id, state)| (id.as_str(), state, "Healthy")).collect();
    let addresses: Vec<_> = ids.iter().map(|id| (id.as_str(), "10.0.0.9")).collect();
    let (port, _) = scripted(vec![(200, scaling(&members, "")), (200, instances(&addresses, ""))]);
    assert_eq!(planned(&on(port)), ["i-0 10.0.0.9 g"]);
}

#[test]
fn instances_without_the_address_that_is_wanted_are_told() {
    let answers = || {
        let members = [("i-1", "InService", "Healthy"), ("i-2", "InService", "Healthy"), ("i-3", "Pending", "Healthy")];
        let six = "<item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>\
                   <ipv6Address>2001:db8::1</ipv6Address></item></instancesSet>";
        let all = instances(&[("i-2", "10.0.0.2"), ("i-3", "10.0.0.3")], "").replace("</instancesSet>", six);
        vec![(200, scaling(&members, "")), (200, all)]
    };
    let ipv6 = |port| {
        let site = on(port);
        let file = site.path("haproxystats.conf");
        let text = std::fs::read_to_string(&file).unwrap().replace("mode = aws", "mode = aws\naddress = ipv6");
        let text = text.replace("exporter-port = 0", &format!("exporter-port = {}", crate::harness::free_port()));
        std::fs::write(file, text).unwrap();
        site
    };
    let (port, _) = scripted(answers());
    let plan = ipv6(port).good(&["--server", "--dry-run"]);
    assert!(plan.contains("  1 i-1 2001:db8::1 group g "), "{plan}");
    assert!(plan.contains("warning: i-2 of group g cannot be used: it has no IPv6 address"), "{plan}");
    assert!(!plan.contains("i-3"), "one that is being started gets its address later: {plan}");
    let (port, _) = scripted(std::iter::repeat_with(answers).take(100).flatten().collect());
    let site = ipv6(port);
    let server = site.start("log", &["--server"]);
    wait_for("it is told", || server.log().contains("i-2 of group g cannot be used: it has no IPv6 address"));
    let text = std::fs::read_to_string(site.path("haproxystats.conf")).unwrap();
    let exporter = text.lines().find_map(|line| line.strip_prefix("exporter-port = ")?.parse().ok()).unwrap();
    wait_for("it is counted", || page(exporter).contains("haproxystats_discovery_unusable 1"));
    let log = server.stop();
    assert_eq!(log.matches("cannot be used").count(), 1, "{log}");
}

#[test]
fn an_instance_that_ec2_does_not_know_yet_keeps_its_slot() {
    let members = [("i-1", "InService", "Healthy"), ("i-2", "InService", "Healthy"), ("i-3", "Terminating", "Healthy")];
    let both = || [(200, scaling(&members, "")), (200, instances(&[("i-1", "10.0.0.1"), ("i-2", "10.0.0.2")], ""))];
    let behind = || [(200, scaling(&members, "")), (200, instances(&[("i-1", "10.0.0.1")], ""))];
    let (port, _) = scripted(both().into_iter().chain((0..100).flat_map(|_| behind())).collect());
    let site = on(port);
    let server = site.start("log", &["--server"]);
    wait_for("it is told", || {
        server.log().contains("i-2 of group g cannot be used: EC2 has no such instance; if it has a slot, it keeps it")
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(site.slots().starts_with("i-1 i-2 -"), "{}", site.slots());
    assert!(!server.stop().contains("i-3"));
}

#[test]
fn throttling_is_told_and_answered_by_longer_pauses() {
    let error = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    let (port, asked) = scripted(vec![(400, error.to_owned()); 100]);
    let site = on(port);
    let server = site.start("log", &["--server"]);
    wait_for("it is asked again and again", || asked.lock().unwrap().len() >= 3);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let count = asked.lock().unwrap().len();
    assert!(count <= 9, "{count} requests in two seconds, at an interval of 0.05");
    let log = server.stop();
    assert_eq!(log.matches("Throttling: Rate exceeded").count(), 1, "{log}");
}

#[test]
fn without_a_region_the_program_says_so_and_fails() {
    let mut site = on(1);
    site.environment.retain(|(name, _)| name != "AWS_REGION");
    site.environment.push(("AWS_CONFIG_FILE".to_owned(), "/nonexistent".to_owned()));
    site.environment.push(("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()));
    let output = site.run(&["--server"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains("no AWS region is configured"), "{text}");
}
