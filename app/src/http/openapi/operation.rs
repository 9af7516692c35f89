//! One operation of the API: its object in the description is put together here.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use super::super::{error::ErrorResponse, routes::Route};
use crate::error_code::ErrorCode;

/// What the operations refer to: schemas of what the service reads, schemas of what it writes, and answers with errors.
pub struct Components {
    read: SchemaGenerator,
    written: SchemaGenerator,
    /// By their codes.
    errors: Map<String, Value>,
}

/// An operation that is being described.
pub struct Operation<'a> {
    path: &'static str,
    components: &'a mut Components,
    /// The status of what is described next.
    status: u16,
    object: Map<String, Value>,
    parameters: Vec<Value>,
    security: Vec<Value>,
    answers: BTreeMap<u16, Value>,
    errors: BTreeSet<ErrorCode>,
}

/// The object of a route's operation.
pub fn describe(route: &Route, components: &mut Components) -> Value {
    let mut operation = Operation::new(route, components);
    operation.object.insert("operationId".into(), route.id().into());
    operation.object.insert("summary".into(), route.summary.into());
    operation.object.insert("tags".into(), json!([route.tag()]));
    operation.finish()
}

/// All errors that a route is described with.
pub fn errors(route: &Route) -> BTreeSet<ErrorCode> {
    Operation::new(route, &mut Components::default()).errors
}

impl<'a> Operation<'a> {
    fn new(route: &Route, components: &'a mut Components) -> Self {
        let mut operation = Self {
            path: route.path,
            components,
            status: 200,
            object: Map::new(),
            parameters: Vec::new(),
            security: Vec::new(),
            answers: BTreeMap::new(),
            errors: BTreeSet::from([ErrorCode::Timeout, ErrorCode::Internal]),
        };
        (route.describe)(&mut operation);
        operation.errors(route.errors);
        operation
    }

    /// What is described from here on is an answer with this status; 200 if no status was named.
    pub fn answers(&mut self, status: u16) {
        self.status = status;
        self.answer();
    }

    pub fn answer_json<T: JsonSchema>(&mut self) {
        let schema = self.components.written.subschema_for::<T>().to_value();
        self.answer_content("application/json", schema);
    }

    /// `media_type` may be a range such as `image/*`.
    pub fn answer_content(&mut self, media_type: &str, schema: Value) {
        self.answer()["content"][media_type] = json!({ "schema": schema });
    }

    pub fn answer_header(&mut self, name: &str, description: &str) {
        self.answer()["headers"][name] = json!({ "description": description, "schema": { "type": "string" } });
    }

    /// Errors that the operation may be answered with.
    pub fn errors(&mut self, codes: &[ErrorCode]) {
        self.errors.extend(codes);
    }

    /// Allows a kind of token: a security scheme, and the scopes or roles that it needs.
    pub fn allow(&mut self, scheme: &str, needs: &[&str]) {
        self.security.push(json!({ scheme: needs }));
        // A token is looked up in the database.
        self.errors(&[ErrorCode::Unauthorized, ErrorCode::Unavailable]);
    }

    /// Allows requests without a token, and those with one that opens more.
    pub fn allow_without_or_with(&mut self, scheme: &str) {
        self.security.extend([json!({}), json!({ scheme: [] })]);
    }

    /// Describes the token of a share in the path. OpenAPI has security schemes for headers, query strings and cookies only.
    pub fn share_token(&mut self) {
        self.parameters.push(json!({
            "name": "token",
            "in": "path",
            "required": true,
            "description": "The secret token of a share link: it opens the share to each person who has it",
            "schema": { "type": "string" },
        }));
        self.errors.insert(ErrorCode::NotFound);
    }

    /// Describes all parameters of the path, which has one.
    pub fn path_parameter<T: JsonSchema>(&mut self) {
        let schema = self.components.read.subschema_for::<T>().to_value();
        for name in self.path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name) {
            let name = name.trim_start_matches('*');
            self.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        }
        self.errors.insert(ErrorCode::NotFound);
    }

    pub fn header(&mut self, name: &str, required: bool, description: &str, schema: Value) {
        self.parameters.push(
            json!({ "name": name, "in": "header", "required": required, "description": description, "schema": schema }),
        );
    }

    /// Describes each field of `T` as a parameter of the query string.
    pub fn query<T: JsonSchema>(&mut self) {
        let fields = T::json_schema(&mut self.components.read).to_value();
        let required = fields["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in fields["properties"].as_object().into_iter().flatten() {
            let mut schema = without_null(field.clone());
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let required = required.iter().any(|required| required == name);
            let mut parameter = json!({ "name": name, "in": "query", "required": required, "schema": schema });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }

    pub fn json_body<T: JsonSchema>(&mut self) {
        let schema = self.components.read.subschema_for::<T>().to_value();
        self.body("application/json", schema);
    }

    pub fn body(&mut self, media_type: &str, schema: Value) {
        let body = json!({ "required": true, "content": { media_type: { "schema": schema } } });
        self.object.insert("requestBody".into(), body);
    }

    /// The answer with the status of the moment.
    fn answer(&mut self) -> &mut Value {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        self.answers.entry(self.status).or_insert_with(|| json!({ "description": reason.unwrap_or_default() }))
    }

    fn finish(mut self) -> Value {
        if self.answers.is_empty() {
            self.answer();
        }
        let mut by_status = BTreeMap::<u16, Vec<&'static str>>::new();
        for code in &self.errors {
            by_status.entry(code.status()).or_default().push(code.as_str());
        }
        let schema = self.components.written.subschema_for::<ErrorResponse<'_>>().to_value();
        for (status, codes) in by_status {
            let name = codes.join("-");
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            self.components.errors.entry(name).or_insert_with(|| error_answer(status, &codes, &schema));
            self.answers.insert(status, reference);
        }
        let answers = self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer));
        self.object.insert("responses".into(), Value::Object(answers.collect()));
        self.object.insert("parameters".into(), self.parameters.into());
        self.object.insert("security".into(), self.security.into());
        Value::Object(self.object)
    }
}

fn error_answer(status: u16, codes: &[&str], schema: &Value) -> Value {
    let these = json!({ "properties": { "error": { "properties": { "code": { "enum": codes } } } } });
    let mut answer = json!({
        "description": codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", "),
        "content": { "application/json": { "schema": { "allOf": [schema, these] } } },
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", "`Bearer`")),
        429 | 503 => Some(("Retry-After", "In seconds; not with every code")),
        _ => None,
    };
    if let Some((name, description)) = header {
        answer["headers"][name] = json!({ "description": description, "schema": { "type": "string" } });
    }
    answer
}

/// A parameter that is missing is not `null`, which a query string does not have.
fn without_null(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    object.retain(|key, value| key != "default" || !value.is_null());
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|of| of != "null");
        if let [of] = types.as_slice() {
            let of = of.clone();
            object.insert("type".into(), of);
        }
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|of| of["type"] != "null");
    }
    schema
}

impl Default for Components {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let generator = |contract| settings.clone().with(|settings| settings.contract = contract).into_generator();
        Self { read: generator(Contract::Deserialize), written: generator(Contract::Serialize), errors: Map::new() }
    }
}

impl Components {
    /// All that was referred to, by name. A type that is read and written has one schema.
    pub fn finish(mut self) -> Value {
        let mut all = self.read.take_definitions(false);
        for (name, schema) in self.written.take_definitions(false) {
            assert!(all.get(&name).is_none_or(|other| *other == schema), "two schemas are called {name}");
            all.insert(name, schema);
        }
        json!({ "schemas": all, "responses": self.errors })
    }
}
