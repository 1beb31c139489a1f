"""What Airflow discovers about the provider holds against Airflow's own schemas and its own discovery."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import re
import subprocess
import sys
from itertools import groupby
from typing import Any

import jsonschema
import pytest
from airflow.sdk import Connection

from airflow_provider_mediax import __version__
from airflow_provider_mediax.hooks.connection import DEFAULTS, MediaxConnection
from airflow_provider_mediax.provider_info import get_provider_info

INFO = get_provider_info()
(CONNECTION,) = INFO["connection-types"]
FIELDS: dict[str, dict[str, Any]] = CONNECTION["conn-fields"]

#: The extras that docs and DAGs rely on.
EXTRAS = {
    "gateway_source",
    "gateway_secret_id",
    "gateway_secret_key",
    "job_path",
    "register_path",
    "content_id",
    "cos_secret_id",
    "cos_secret_key",
    "cos_token",
    "cos_region",
    "cos_bucket",
    "bucket_regions",
    "cos_endpoint",
    "namespace",
    "claims",
    "mailbox",
    "requests_per_second",
    "connect_timeout",
    "read_timeout",
    "proxy",
    "verify",
}
SECRETS = {"gateway_secret_id", "gateway_secret_key", "cos_secret_id", "cos_secret_key", "cos_token", "proxy"}
MODULE_LISTS = ("hooks", "operators", "sensors", "triggers")


def shipped_schema(name: str) -> dict[str, Any]:
    """Return a schema out of the installed Airflow."""
    file = importlib.resources.files("airflow").joinpath(name)
    if not file.is_file():
        pytest.skip(f"this Airflow does not ship {name}")
    schema: dict[str, Any] = json.loads(file.read_text())
    return schema


def validate(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.validators.validator_for(schema)(schema).validate(value)


def test_it_fits_the_runtime_schema() -> None:
    validate(INFO, shipped_schema("provider_info.schema.json"))


@pytest.mark.parametrize(
    "key", ["connection-types", "integrations", "filesystems", "asset-uris", "transfers", *MODULE_LISTS]
)
def test_it_fits_the_strict_schema(key: str) -> None:
    schema = shipped_schema("provider.yaml.schema.json")["properties"][key]
    if key == "connection-types" and "conn-fields" not in schema["items"]["properties"]:
        pytest.skip("conn-fields came with Airflow 3.2")
    validate(INFO[key], schema)


def test_the_version_is_the_packages() -> None:
    assert INFO["versions"][0] == __version__


def test_every_list_names_a_declared_integration() -> None:
    declared = {integration["integration-name"] for integration in INFO["integrations"]}
    assert {entry["integration-name"] for key in MODULE_LISTS for entry in INFO[key]} == declared


@pytest.mark.parametrize(
    "module",
    [
        *(module for key in MODULE_LISTS for entry in INFO[key] for module in entry["python-modules"]),
        *(entry["python-module"] for entry in INFO["transfers"]),
    ],
)
def test_every_declared_module_imports(module: str) -> None:
    importlib.import_module(module)


def test_every_filesystem_has_what_airflow_asks_of_it() -> None:
    (module,) = (importlib.import_module(name) for name in INFO["filesystems"])
    assert module.schemes == ["cos"]
    assert callable(module.get_fs)


@pytest.mark.parametrize("entry", INFO["asset-uris"], ids=lambda entry: "+".join(entry["schemes"]))
def test_every_function_for_asset_uris_imports(entry: dict[str, Any]) -> None:
    for name in ("handler", "factory", "to_openlineage_converter"):
        module, function = entry[name].rsplit(".", 1)
        assert callable(getattr(importlib.import_module(module), function))


def test_the_hook_class_belongs_to_the_connection_type() -> None:
    module, name = CONNECTION["hook-class-name"].rsplit(".", 1)
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == CONNECTION["connection-type"]
    assert hook.hook_name == CONNECTION["hook-name"]
    assert hook.default_conn_name == "mediax_default"
    # Airflow builds hooks by connection id, also for "test connection", through this attribute.
    assert hook.conn_name_attr == "mediax_conn_id"


def test_every_extra_of_the_contract_is_a_field() -> None:
    assert set(FIELDS) == EXTRAS


def test_every_secret_is_a_masked_field() -> None:
    assert {name for name, field in FIELDS.items() if field["schema"].get("format") == "password"} == SECRETS


SECTIONS = ("Gateway and repository", "COS", "Advanced")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_field_says_what_it_is_and_suggests_what_the_connection_takes(name: str) -> None:
    field = FIELDS[name]
    assert field["label"]
    assert field["description"].endswith(".")
    for example in field["schema"].get("examples", ()):
        validate(example, field["schema"])
        together = {"gateway_secret_id": "i", "gateway_secret_key": "k"} if name == "gateway_source" else {}
        extra = {name: example, **together}
        connection = Connection(conn_id="c", conn_type="mediax", extra=json.dumps(extra))
        MediaxConnection.read("c", connection, extra)
    assert not (name in SECRETS and "examples" in field["schema"])


def test_the_form_has_three_sections_one_after_the_other() -> None:
    assert [section for section, _ in groupby(field["schema"]["section"] for field in FIELDS.values())] == [*SECTIONS]


def test_the_form_stores_no_default_and_says_which_one_counts() -> None:
    """Airflow masks what is stored, and says in every log that ``/job`` is too short to mask."""
    assert [name for name, field in FIELDS.items() if "default" in field["schema"]] == []
    for name, default in DEFAULTS.items():
        if name in FIELDS:
            word = str(default).lower()
            assert re.search(rf"{re.escape(word)} if empty", FIELDS[name]["description"]), name


def test_placeholders_and_labels_belong_to_standard_fields() -> None:
    """Airflow shows none of the extra's."""
    behaviour = CONNECTION["ui-field-behaviour"]
    assert set(behaviour["placeholders"]) == set(behaviour["relabeling"]) == {"host", "login", "password"}
    assert not {"host", "login", "password", *FIELDS} & set(behaviour["hidden-fields"])


def test_each_call_returns_a_value_of_its_own() -> None:
    """Airflow and plugins may change what they are given."""
    get_provider_info()["connection-types"].clear()
    assert get_provider_info() == INFO


DISCOVERY = """
import sys
import airflow_provider_mediax.provider_info
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"], "the module imports Airflow"

from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
assert "airflow-provider-mediax" in manager.providers, sorted(manager.providers)

if hasattr(manager, "iter_connection_type_hook_ui_metadata"):
    forms = {form.connection_type: form for form in manager.iter_connection_type_hook_ui_metadata()}
    assert "mediax" in forms, sorted(forms)
    assert forms["mediax"].hook_name == "MediaX (Tencent Cloud music)", forms["mediax"]
    assert "airflow_provider_mediax.hooks.mediax" not in sys.modules, "the form imported the hook"
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
    (form,) = [form for form in HookMetaService.hook_meta_data() if form.connection_type == "mediax"]
    assert form.standard_fields.port.hidden and form.standard_fields.url_schema.hidden, form.standard_fields
    shown = {name: field["schema"] for name, field in form.extra_fields.items()}
    assert {field.get("section") for field in shown.values()} == {"Gateway and repository", "COS", "Advanced"}, shown
    assert "ap-guangzhou" in shown["cos_region"]["examples"], shown
    print(",".join(sorted(shown)))
    assert "airflow_provider_mediax.hooks.mediax" not in sys.modules, "the API server imported the hook"
"""


def test_airflow_discovers_it_and_shows_the_form_without_importing_the_hook() -> None:
    done = subprocess.run([sys.executable, "-c", DISCOVERY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.strip().splitlines()[-1:]
    if not shown:
        pytest.skip("the form as data came with Airflow 3.2")
    assert set(shown[0].split(",")) == EXTRAS
