//! Who this process is in what leaves it: the service's description as the encoders want it.

use std::sync::Arc;

use tapetum_otlp::Agent;
use tapetum_pipeline::ServiceInfo;

pub(crate) fn of(service: &ServiceInfo) -> Agent {
    Agent {
        cluster: Arc::from(&*service.cluster),
        node: Arc::from(&*service.node),
        host: Arc::from(&*service.host),
        instance: Arc::from(&*service.instance),
        version: Arc::from(service.version),
    }
}
