//! Servers from Auto Scaling Groups: DescribeAutoScalingGroups says who belongs to them, how they are and where in their
//! life; DescribeInstances says their addresses.
//!
//! Both are asked page by page until the last. Instances are asked for by a filter, which passes over those that are
//! gone; without any there is no second question, since one without ids would answer with the whole account.

use super::interface::{Source, SourceError};
use super::listing::{FailedGroup, Instance, Life, Listing, Unusable};
use crate::config::discovery::Address;
use crate::discovery::aws::{Aws, AwsError, Service};
use crate::discovery::hint::Hint;
use crate::discovery::http::escaped;
use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

/// Most names of groups in one question.
const NAMES: usize = 50;

/// Most values of a filter of EC2.
const IDS: usize = 200;

/// Most pages of one question: a source that never ends is an error.
const PAGES: usize = 1000;

pub(super) struct Groups {
    scaling: Service,
    ec2: Service,
    groups: Vec<String>,
    address: Address,
    timeout: Duration,
}

impl Groups {
    pub(super) async fn open(
        groups: Vec<String>,
        address: Address,
        region: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, SourceError> {
        let aws = Aws::open(region).await?;
        let scaling = aws.service("autoscaling", "AUTO_SCALING")?;
        let ec2 = aws.service("ec2", "EC2")?;
        Ok(Self { scaling, ec2, groups, address, timeout })
    }

    /// The members of all groups, and the groups that AWS does not know.
    async fn members(&self) -> Result<(BTreeMap<String, (String, Member)>, Vec<FailedGroup>), AwsError> {
        const REQUEST: &str = "DescribeAutoScalingGroups";
        let mut members = BTreeMap::new();
        let mut found = HashSet::new();
        for names in self.groups.chunks(NAMES) {
            let mut form = form(REQUEST, "2011-01-01");
            for (index, name) in names.iter().enumerate() {
                form.push((format!("AutoScalingGroupNames.member.{}", index + 1), name.clone()));
            }
            form.push(("MaxRecords".to_owned(), "100".to_owned()));
            let take = |ScalingAnswer { result }: ScalingAnswer| {
                for group in result.groups.items {
                    for member in group.instances.items {
                        members.insert(member.id.clone(), (group.name.clone(), member));
                    }
                    found.insert(group.name);
                }
                result.next_token
            };
            pages(&self.scaling, REQUEST, &form, self.timeout, take).await?;
        }
        let unknown = self.groups.iter().filter(|name| !found.contains(*name));
        let reason = "AWS has no such Auto Scaling Group";
        let failed = unknown.map(|group| FailedGroup { group: group.clone(), reason: reason.to_owned() });
        Ok((members, failed.collect()))
    }

    async fn details(&self, ids: &[&String]) -> Result<HashMap<String, Details>, AwsError> {
        const REQUEST: &str = "DescribeInstances";
        let mut details = HashMap::new();
        for ids in ids.chunks(IDS) {
            let mut form = form(REQUEST, "2016-11-15");
            form.push(("Filter.1.Name".to_owned(), "instance-id".to_owned()));
            for (index, id) in ids.iter().enumerate() {
                form.push((format!("Filter.1.Value.{}", index + 1), (*id).clone()));
            }
            form.push(("MaxResults".to_owned(), "1000".to_owned()));
            let take = |answer: Ec2Answer| {
                let reservations = answer.reservations.items.into_iter();
                let all = reservations.flat_map(|reservation| reservation.instances.items);
                details.extend(all.map(|one| (one.id.clone(), one)));
                answer.next_token
            };
            pages(&self.ec2, REQUEST, &form, self.timeout, take).await?;
        }
        Ok(details)
    }
}

fn form(action: &str, version: &str) -> Vec<(String, String)> {
    vec![("Action".to_owned(), action.to_owned()), ("Version".to_owned(), version.to_owned())]
}

/// All pages of an answer. `take` is given each, and gives the token of the next one.
async fn pages<T: DeserializeOwned>(
    service: &Service,
    request: &'static str,
    form: &[(String, String)],
    time: Duration,
    mut take: impl FnMut(T) -> Option<String>,
) -> Result<(), AwsError> {
    let mut token = None;
    for _ in 0..PAGES {
        token = take(ask(service, request, form, token, time).await?).filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(());
        }
    }
    Err(AwsError::Content { request, reason: format!("more than {PAGES} pages") })
}

/// One page.
async fn ask<T: DeserializeOwned>(
    service: &Service,
    request: &'static str,
    form: &[(String, String)],
    token: Option<String>,
    time: Duration,
) -> Result<T, AwsError> {
    let token = token.map(|token| ("NextToken".to_owned(), token));
    let pairs = form.iter().chain(&token).map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let reply = service.post(&headers, &body, time).await?;
    let text = String::from_utf8_lossy(&reply.body);
    if reply.status != 200 {
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim().to_owned())
        };
        let code = element("Code").unwrap_or_default();
        let message = element("Message").unwrap_or_else(|| reply.excerpt());
        return Err(AwsError::Refused { request, status: reply.status, code, message });
    }
    quick_xml::de::from_str(&text).map_err(|error| AwsError::Content { request, reason: error.to_string() })
}

#[derive(Deserialize)]
struct ScalingAnswer {
    #[serde(rename = "DescribeAutoScalingGroupsResult")]
    result: ScalingResult,
}

#[derive(Deserialize)]
struct ScalingResult {
    #[serde(rename = "AutoScalingGroups")]
    groups: List<Group>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

/// Auto Scaling and EC2 name what a list is made of differently.
#[derive(Deserialize)]
struct List<T> {
    #[serde(rename = "item", alias = "member", default = "Vec::new")]
    items: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "AutoScalingGroupName")]
    name: String,
    #[serde(rename = "Instances", default)]
    instances: List<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(rename = "InstanceId")]
    id: String,
    #[serde(rename = "LifecycleState", default)]
    life: String,
    #[serde(rename = "HealthStatus", default)]
    health: String,
    #[serde(rename = "AvailabilityZone", default)]
    zone: String,
}

#[derive(Deserialize)]
struct Ec2Answer {
    #[serde(rename = "reservationSet")]
    reservations: List<Reservation>,
    #[serde(rename = "nextToken")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Reservation {
    #[serde(rename = "instancesSet", default)]
    instances: List<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(rename = "instanceId")]
    id: String,
    #[serde(rename = "instanceState")]
    state: Option<Named>,
    #[serde(rename = "privateIpAddress")]
    private: Option<String>,
    #[serde(rename = "ipAddress")]
    public: Option<String>,
    #[serde(rename = "ipv6Address")]
    ipv6: Option<String>,
    #[serde(rename = "networkInterfaceSet", default)]
    interfaces: List<Interface>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(rename = "ipv6AddressesSet", default)]
    ipv6: List<Ipv6>,
}

#[derive(Deserialize)]
struct Ipv6 {
    #[serde(rename = "ipv6Address")]
    address: Option<String>,
}

impl Details {
    fn address(&self, wanted: Address) -> Option<IpAddr> {
        let text = match wanted {
            Address::Private => self.private.as_ref(),
            Address::Public => self.public.as_ref(),
            Address::Ipv6 => {
                let of_interfaces = self.interfaces.items.iter().flat_map(|interface| &interface.ipv6.items);
                self.ipv6.as_ref().or_else(|| of_interfaces.filter_map(|ipv6| ipv6.address.as_ref()).next())
            }
        };
        text.and_then(|text| text.trim().parse().ok())
    }
}

/// Where an instance is in its life, by the state in its group and that of the machine.
fn life(state: &str, machine: &str) -> Life {
    let in_group = match state {
        "InService" => Life::InService,
        // One from the warm pool does not serve before it leaves the pool.
        _ if state.starts_with("Pending") || state.starts_with("Warmed") => Life::Pending,
        _ => Life::Leaving,
    };
    match machine {
        "running" => in_group,
        "pending" if in_group == Life::InService => Life::Pending,
        "pending" => in_group,
        _ => Life::Leaving,
    }
}

fn instance(id: &str, group: String, member: &Member, details: &Details, wanted: Address) -> Instance {
    Instance {
        id: id.to_owned(),
        name: id.to_owned(),
        addresses: details.address(wanted).into_iter().collect(),
        port: None,
        group,
        zone: member.zone.clone(),
        healthy: member.health.eq_ignore_ascii_case("healthy"),
        life: life(&member.life, details.state.as_ref().map_or("", |state| state.name.as_str())),
        hint: Hint::FULL,
    }
}

#[async_trait(?Send)]
impl Source for Groups {
    async fn list(&mut self, _: Option<Duration>) -> Result<Listing, SourceError> {
        let (members, failed) = self.members().await?;
        if let Some(unknown) = failed.first().filter(|_| failed.len() == self.groups.len()) {
            let reason = "AWS has no such Auto Scaling Group";
            return Err(SourceError::Incomplete { service: unknown.group.clone(), reason });
        }
        let ids: Vec<&String> = members.keys().collect();
        let details = self.details(&ids).await?;
        // EC2 is behind with what Auto Scaling has just made.
        let unknown = members.iter().filter(|(id, (_, member))| {
            let serves = member.life == "InService" && member.health.eq_ignore_ascii_case("healthy");
            serves && !details.contains_key(*id)
        });
        let unknown = unknown.map(|(id, (group, _))| Unusable {
            instance: id.clone(),
            group: group.clone(),
            reason: "EC2 has no such instance".to_owned(),
            unsure: true,
        });
        let known = members.iter().filter_map(|(id, (group, member))| {
            let details = details.get(id)?;
            Some(instance(id, group.clone(), member, details, self.address))
        });
        let (usable, without): (Vec<Instance>, Vec<Instance>) =
            known.partition(|instance| !instance.addresses.is_empty());
        // One that is being started gets its address later.
        let without = without.into_iter().filter(|one| one.healthy && one.life == Life::InService);
        let reason = match self.address {
            Address::Private => "it has no private address",
            Address::Public => "it has no public address",
            Address::Ipv6 => "it has no IPv6 address",
        };
        let unusable = without.map(|one| Unusable {
            instance: one.id,
            group: one.group,
            reason: reason.to_owned(),
            unsure: false,
        });
        Ok(Listing { unusable: unusable.chain(unknown).collect(), failed, ..Listing::now(usable) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_in_service_and_runs_serves() {
        for (state, machine, wanted) in [
            ("InService", "running", Life::InService),
            ("InService", "pending", Life::Pending),
            ("InService", "shutting-down", Life::Leaving),
            ("Pending", "running", Life::Pending),
            ("Pending:Wait", "running", Life::Pending),
            ("Pending:Proceed", "running", Life::Pending),
            ("Warmed:Stopped", "stopped", Life::Leaving),
            ("Warmed:Running", "running", Life::Pending),
            ("Terminating", "running", Life::Leaving),
            ("Terminating:Wait", "running", Life::Leaving),
            ("Terminating:Proceed", "running", Life::Leaving),
            ("EnteringStandby", "running", Life::Leaving),
            ("Standby", "running", Life::Leaving),
            ("Detaching", "running", Life::Leaving),
        ] {
            assert_eq!(life(state, machine), wanted, "{state} {machine}");
        }
    }

    #[test]
    fn answers_of_ec2_are_read_with_any_address() {
        let text = r#"<?xml version="1.0"?><DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
            <requestId>x</requestId><reservationSet><item><reservationId>r</reservationId><instancesSet>
            <item><instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState>
              <privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>198.51.100.1</ipAddress>
              <networkInterfaceSet><item><ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet></item></networkInterfaceSet></item>
            <item><instanceId>i-2</instanceId><instanceState><name>pending</name></instanceState><networkInterfaceSet/></item>
            </instancesSet></item><item><instancesSet><item><instanceId>i-3</instanceId><ipv6Address>2001:db8::3</ipv6Address></item></instancesSet></item>
            </reservationSet><nextToken>more</nextToken></DescribeInstancesResponse>"#;
        let answer: Ec2Answer = quick_xml::de::from_str(text).unwrap();
        assert_eq!(answer.next_token.as_deref(), Some("more"));
        let all: Vec<Details> = answer.reservations.items.into_iter().flat_map(|r| r.instances.items).collect();
        let addresses = |one: &Details| {
            [Address::Private, Address::Public, Address::Ipv6]
                .map(|a| one.address(a).map_or_else(String::new, |ip| ip.to_string()))
        };
        assert_eq!(addresses(&all[0]), ["10.0.0.1", "198.51.100.1", "2001:db8::1"]);
        assert_eq!(addresses(&all[1]), ["", "", ""]);
        assert_eq!(addresses(&all[2]), ["", "", "2001:db8::3"]);
        let empty = r#"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"#;
        assert!(quick_xml::de::from_str::<Ec2Answer>(empty).unwrap().reservations.items.is_empty());
    }
}
