//! The calls of the protocol: decodes requests and encodes responses.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::Result;
use tonic::{Request, Response, Status};

use super::{Server, decode_map, encode_result};
use crate::diagnostic::{from_error, warning};
use crate::fields::text;
use crate::protocol::provider_server::Provider as Calls;
use crate::protocol::{
    Diagnostic, ServerCapabilities, apply_resource_change, configure_provider, get_provider_schema,
    import_resource_state, plan_resource_change, read_data_source, read_resource, stop_provider,
    upgrade_resource_state, validate_data_resource_config, validate_provider_config, validate_resource_config,
};
use crate::rules::TypeRules;
use crate::schema::Schema;
use crate::socket::number;
use crate::validate::validate;
use crate::value::{Map, Value};

type CallResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Calls for Server {
    async fn get_provider_schema(
        &self,
        _: Request<get_provider_schema::Request>,
    ) -> CallResult<get_provider_schema::Response> {
        let provider = &self.0.provider;
        let all = |schemas: &BTreeMap<String, Schema>| {
            schemas.iter().map(|(name, schema)| (name.clone(), schema.to_protocol())).collect()
        };
        Ok(Response::new(get_provider_schema::Response {
            provider: Some(provider.config.to_protocol()),
            resource_schemas: all(&provider.resources),
            data_source_schemas: all(&provider.data_sources),
            diagnostics: Vec::new(),
            server_capabilities: Some(ServerCapabilities { plan_destroy: false, get_provider_schema_optional: true }),
        }))
    }

    async fn validate_provider_config(
        &self,
        request: Request<validate_provider_config::Request>,
    ) -> CallResult<validate_provider_config::Response> {
        let config = decode_map(request.get_ref().config.as_ref());
        let check = |config: Map| validate(&self.0.provider.config.object, &TypeRules::default(), &config);
        let diagnostics = config.map_or_else(|error| vec![from_error("Invalid provider configuration", &error)], check);
        Ok(Response::new(validate_provider_config::Response { diagnostics }))
    }

    async fn validate_resource_config(
        &self,
        request: Request<validate_resource_config::Request>,
    ) -> CallResult<validate_resource_config::Response> {
        let request = request.get_ref();
        let write_only = request.client_capabilities.as_ref().is_some_and(|can| can.write_only_attributes_allowed);
        let diagnostics = self.0.validate_resource(&request.type_name, request.config.as_ref(), write_only);
        let diagnostics = diagnostics.unwrap_or_else(|error| vec![from_error("Invalid configuration", &error)]);
        Ok(Response::new(validate_resource_config::Response { diagnostics }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<validate_data_resource_config::Request>,
    ) -> CallResult<validate_data_resource_config::Response> {
        let request = request.get_ref();
        let diagnostics = self.0.validate_data_source(&request.type_name, request.config.as_ref());
        let diagnostics = diagnostics.unwrap_or_else(|error| vec![from_error("Invalid configuration", &error)]);
        Ok(Response::new(validate_data_resource_config::Response { diagnostics }))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<upgrade_resource_state::Request>,
    ) -> CallResult<upgrade_resource_state::Response> {
        let request = request.into_inner();
        let (state, diagnostics) = encode_result(
            "The stored state cannot be read",
            self.0.upgrade(&request.type_name, &request.raw_state.unwrap_or_default().json),
        );
        Ok(Response::new(upgrade_resource_state::Response { upgraded_state: state, diagnostics }))
    }

    async fn configure_provider(
        &self,
        request: Request<configure_provider::Request>,
    ) -> CallResult<configure_provider::Response> {
        let mut diagnostics = Vec::new();
        match decode_map(request.get_ref().config.as_ref()) {
            Ok(config) => {
                let mut configs = self.0.provider_configs.write().unwrap_or_else(PoisonError::into_inner);
                configs.insert(number(&request), config);
            }
            Err(error) => diagnostics.push(from_error("Invalid provider configuration", &error)),
        }
        Ok(Response::new(configure_provider::Response { diagnostics }))
    }

    async fn read_resource(&self, request: Request<read_resource::Request>) -> CallResult<read_resource::Response> {
        let request = request.get_ref();
        let read = self.0.read(&request.type_name, request.current_state.as_ref()).await;
        let warning = read.as_ref().ok().and_then(|current| error_status(&request.type_name, current));
        let (new_state, mut diagnostics) = encode_result(&format!("{} cannot be read", request.type_name), read);
        diagnostics.extend(warning);
        Ok(Response::new(read_resource::Response { new_state, diagnostics }))
    }

    async fn plan_resource_change(
        &self,
        request: Request<plan_resource_change::Request>,
    ) -> CallResult<plan_resource_change::Response> {
        let (peer, request) = (number(&request), request.get_ref());
        let planned = self.0.plan(peer, request).unwrap_or_else(|error| plan_resource_change::Response {
            planned_state: request.prior_state.clone(),
            diagnostics: vec![from_error(&format!("{} cannot be planned", request.type_name), &error)],
            ..Default::default()
        });
        Ok(Response::new(planned))
    }

    async fn apply_resource_change(
        &self,
        request: Request<apply_resource_change::Request>,
    ) -> CallResult<apply_resource_change::Response> {
        Ok(Response::new(self.0.apply(number(&request), request.get_ref()).await))
    }

    async fn import_resource_state(
        &self,
        request: Request<import_resource_state::Request>,
    ) -> CallResult<import_resource_state::Response> {
        let request = request.into_inner();
        let (state, diagnostics) = encode_result(
            "Cannot import non-existent remote object",
            self.0.import(&request.type_name, &request.id).await,
        );
        let imported = import_resource_state::ImportedResource { type_name: request.type_name, state };
        let imported_resources = if diagnostics.is_empty() { vec![imported] } else { Vec::new() };
        Ok(Response::new(import_resource_state::Response { imported_resources, diagnostics }))
    }

    async fn read_data_source(
        &self,
        request: Request<read_data_source::Request>,
    ) -> CallResult<read_data_source::Response> {
        let (peer, request) = (number(&request), request.get_ref());
        let read = self.0.read_data_source(peer, &request.type_name, request.config.as_ref()).await;
        let (state, diagnostics) = encode_result(&format!("{} cannot be read", request.type_name), read);
        Ok(Response::new(read_data_source::Response { state, diagnostics }))
    }

    async fn stop_provider(&self, request: Request<stop_provider::Request>) -> CallResult<stop_provider::Response> {
        // Fails if no operation is in progress.
        self.0.stop.send(number(&request)).ok();
        Ok(Response::new(stop_provider::Response::default()))
    }
}

/// Warns about a resource whose `status` is `error`. The real provider does not fail either.
fn error_status(name: &str, current: &Value) -> Option<Diagnostic> {
    let values = current.map()?;
    let message = values.get("error_message")?.text().unwrap_or_default();
    (text(values, "status")? == "error").then(|| warning(&format!("{name} is in error"), message))
}
