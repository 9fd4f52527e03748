//! Asks for the permissions of this client for a topic. The crate rdkafka has no call for this, but librdkafka has: `DescribeTopics`.

use super::Rights;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as c;
use rdkafka::client::DefaultClientContext;
use std::ffi::CString;
use std::ptr;
use std::time::Duration;

/// A value of librdkafka that has to be destroyed.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    /// `None` if the pointer is null.
    fn new(value: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        (!value.is_null()).then_some(Self(value, destroy))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the value is not null, `destroy` is the function for its type, and nothing else destroys it.
        unsafe { (self.1)(self.0) }
    }
}

/// `None` if the brokers do not answer that.
pub(super) fn ask(admin: &AdminClient<DefaultClientContext>, topic: &str, limit: Duration) -> Option<Rights> {
    let topic = CString::new(topic).ok()?;
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    let client = admin.inner().native_ptr();
    // SAFETY: `client` lives as long as `admin`, which is borrowed. Everything else is created here, checked for null, and
    // destroyed at the end of this function in the reverse order. The call that takes the name copies it. Parts of the event are
    // only read while it exists, with the number of elements that librdkafka returns.
    unsafe {
        let mut names = [topic.as_ptr()];
        let collection = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let collection = Owned::new(collection, c::rd_kafka_TopicCollection_destroy)?;
        let of = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = Owned::new(c::rd_kafka_AdminOptions_new(client, of), c::rd_kafka_AdminOptions_destroy)?;
        let refused = c::rd_kafka_AdminOptions_set_include_authorized_operations(options.0, 1);
        if Owned::new(refused, c::rd_kafka_error_destroy).is_some() {
            return None;
        }
        c::rd_kafka_AdminOptions_set_request_timeout(options.0, milliseconds, ptr::null_mut(), 0);
        let queue = Owned::new(c::rd_kafka_queue_new(client), c::rd_kafka_queue_destroy)?;
        c::rd_kafka_DescribeTopics(client, collection.0, options.0, queue.0);
        let event = Owned::new(c::rd_kafka_queue_poll(queue.0, milliseconds), c::rd_kafka_event_destroy)?;
        let result = c::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count != 1 {
            return None;
        }
        let mut count = 0;
        let operations = c::rd_kafka_TopicDescription_authorized_operations(*topics, &raw mut count);
        if operations.is_null() {
            return None;
        }
        let may = |operation| (0..count).any(|number| *operations.add(number) == operation);
        let read = may(c::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ);
        let write = may(c::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE);
        Some(Rights { read, write })
    }
}
