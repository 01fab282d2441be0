//! The `OpenAPI` document against the handlers.

use std::sync::LazyLock;

use super::*;
use crate::domain::limits;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = crate::http::openapi::complete(crate::http::described().into_openapi());
    serde_json::from_slice(&crate::http::openapi::to_json(&document)).unwrap()
});

/// Every path and method that the document has.
pub(super) fn operations() -> Vec<(Method, String)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
    };
    paths.iter().flat_map(of_path).collect()
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let method = method.as_str().to_lowercase();
    let segments: Vec<_> = path.split('/').collect();
    let matches = |template: &str| {
        let template: Vec<_> = template.split('/').collect();
        template.len() == segments.len()
            && template
                .iter()
                .zip(&segments)
                .all(|(a, b)| a == b || *a == "{room}" && !b.is_empty())
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let (_, item) = paths.iter().find(|(template, _)| matches(template))?;
    item.get(&method)
}

/// Holds each answer that any test gets against what the document says of its operation.
#[track_caller]
pub(super) fn holds(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let status = answer.status.as_str();
    let response = operation["responses"].get(status);
    let response = response.unwrap_or_else(|| panic!("{method} {path}: {status} is undocumented"));
    let sets = response["headers"].as_object();
    if !answer.header("set-cookie").is_empty() {
        let is_told = sets.is_some_and(|sets| sets.contains_key("Set-Cookie"));
        assert!(is_told, "{method} {path}: Set-Cookie is undocumented");
    }
    if let Some(code) = answer.json.get("code").and_then(Value::as_str) {
        let described = response["description"].as_str().unwrap();
        assert!(described.contains(&format!("`{code}`")), "{method} {path}: {code}: {described}");
        check("Problem", &answer.json);
    } else if let Some(schema) = response["content"]["application/json"]["schema"].get("$ref") {
        check(schema_name(schema), &answer.json);
    }
}

fn schema_name(reference: &Value) -> &str {
    reference.as_str().unwrap().rsplit('/').next().unwrap()
}

/// Every required property is there, and none that the schema lacks.
#[track_caller]
fn check(schema: &str, json: &Value) {
    let schema = &DOCUMENT["components"]["schemas"][schema];
    let properties = schema["properties"].as_object().unwrap();
    for name in schema["required"].as_array().unwrap() {
        assert!(json.get(name.as_str().unwrap()).is_some(), "{name} is missing in {json}");
    }
    for (name, value) in json.as_object().unwrap() {
        let property = properties.get(name).unwrap_or_else(|| panic!("{name} is not described"));
        let items = value.as_array().into_iter().flatten();
        for item in items {
            check(schema_name(&property["items"]["$ref"]), item);
        }
        if let Some(reference) = property.get("$ref") {
            check(schema_name(reference), value);
        }
    }
}

#[tokio::test]
async fn it_is_served_and_says_what_it_is() {
    let app = TestApp::new();
    let document = app.get("/openapi.json", "").await.json;
    assert_eq!(document, *DOCUMENT);
    assert_eq!(document["info"]["title"], "Parlor");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_operation_is_there_and_describes_its_answers() {
    let app = TestApp::new();
    assert_eq!(operations().len(), 17);
    let mut ids = std::collections::HashSet::new();
    for (method, path) in operations() {
        let answer = app.call(method.clone(), &path.replace("{room}", "1"), "", None).await;
        assert!(![404, 405].contains(&answer.status.as_u16()), "{method} {path}");
        let operation = operation(&method, &path).unwrap();
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
        assert!(operation["summary"].is_string(), "{path}");
        assert_eq!(operation.get("security").is_some(), answer.status == 401, "{path}");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references<'a>(json: &'a Value, found: &mut Vec<&'a str>) {
        match json {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&DOCUMENT, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let path = reference.strip_prefix('#').unwrap();
        assert!(DOCUMENT.pointer(path).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn what_a_schema_requires_the_handler_misses() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    app.room(&token, "Den").await;
    let mut bodies = 0;
    for (method, path) in operations() {
        let operation = operation(&method, &path).unwrap();
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if body.is_null() {
            continue;
        }
        bodies += 1;
        let schema = &DOCUMENT["components"]["schemas"][schema_name(body)];
        let required: Vec<_> = schema["required"].as_array().unwrap().iter().collect();
        let required: Vec<_> = required.iter().map(|name| name.as_str().unwrap()).collect();
        let path = path.replace("{room}", "1");
        app.call(method.clone(), &path, &token, Some(json!({}))).await.is_invalid(&required);
        // And all that it describes is read: of a wrong type it is a fault.
        let properties = schema["properties"].as_object().unwrap().keys();
        let wrong: Value = properties.clone().map(|name| (name.clone(), json!({}))).collect();
        let answer = app.call(method, &path, &token, Some(wrong)).await;
        answer.is_problem(422, "invalid");
        assert_eq!(answer.json["errors"].as_array().unwrap().len(), properties.len(), "{path}");
    }
    assert_eq!(bodies, 6);
}

#[test]
fn bounds_are_those_of_the_code() {
    let schemas = &DOCUMENT["components"]["schemas"];
    for (schema, property, range) in [
        ("SignUp", "username", limits::USERNAME_CHARACTERS),
        ("SignUp", "password", limits::PASSWORD_CHARACTERS),
        ("SignUp", "displayName", limits::DISPLAY_NAME_CHARACTERS),
        ("SignIn", "username", limits::SIGN_IN_NAME_CHARACTERS),
        ("DeleteMe", "password", limits::PASSWORD_CHARACTERS),
        ("ChangePassword", "currentPassword", limits::PASSWORD_CHARACTERS),
        ("ChangePassword", "newPassword", limits::PASSWORD_CHARACTERS),
        ("CreateRoom", "name", limits::ROOM_NAME_CHARACTERS),
        ("CreateRoom", "slug", limits::SLUG_CHARACTERS),
        ("PostMessage", "id", 1..=limits::MESSAGE_ID_BYTES),
    ] {
        let property = &schemas[schema]["properties"][property];
        assert_eq!(property["minLength"], *range.start(), "{schema}: {property}");
        assert_eq!(property["maxLength"], *range.end(), "{schema}: {property}");
    }
    for path in ["/api/v1/rooms", "/api/v1/rooms/{room}/messages"] {
        let parameters = DOCUMENT["paths"][path]["get"]["parameters"].as_array().unwrap();
        let named = |name: &str| parameters.iter().find(|it| it["name"] == name).unwrap();
        let limit = &named("limit")["schema"];
        assert_eq!(limit["minimum"], *limits::PAGE_ITEMS.start());
        assert_eq!(limit["maximum"], *limits::PAGE_ITEMS.end());
        assert_eq!(limit["default"], limits::PAGE_ITEMS_DEFAULT);
        assert_eq!(named("after")["schema"]["maximum"], crate::domain::SAFE_INTEGER_END - 1);
    }
}
