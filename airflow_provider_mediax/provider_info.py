"""
What Airflow discovers about this provider: the connection form as data, and where operators and hooks live.

Airflow calls :func:`get_provider_info` in every component, also where the provider is never used, and an entry
that is wrong stops the discovery of all providers. So this module imports nothing, declares only what exists,
and a test holds it against Airflow's own schemas.
"""

from __future__ import annotations

from typing import Any

_MEDIAX = "MediaX"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, the value of the entry point group ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-mediax",
        "name": "MediaX",
        "description": "Music analysis jobs on Tencent Cloud: MediaX (Smart Music Platform) and Cloud Infinite.",
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": _MEDIAX,
                "external-doc-url": "https://multimedia.tencent.com/zh/docs/smart-music/about/introduction/",
                "tags": ["service"],
            },
        ],
        "hooks": [
            {
                "integration-name": _MEDIAX,
                "python-modules": [
                    "airflow_provider_mediax.hooks.mediax",
                    "airflow_provider_mediax.hooks.cos",
                    "airflow_provider_mediax.hooks.cloud_infinite",
                ],
            },
        ],
        "operators": [
            {
                "integration-name": _MEDIAX,
                "python-modules": [
                    "airflow_provider_mediax.operators.music",
                    "airflow_provider_mediax.operators.voice_separation",
                    "airflow_provider_mediax.operators.report",
                ],
            },
        ],
        "sensors": [
            {
                "integration-name": _MEDIAX,
                "python-modules": ["airflow_provider_mediax.sensors.job", "airflow_provider_mediax.sensors.cos"],
            },
        ],
        "transfers": [
            {
                "source-integration-name": _MEDIAX,
                "target-integration-name": "Common SQL",
                "python-module": "airflow_provider_mediax.transfers.results_to_sql",
            },
        ],
        "triggers": [
            {
                "integration-name": _MEDIAX,
                "python-modules": ["airflow_provider_mediax.triggers.job", "airflow_provider_mediax.triggers.cos"],
            },
        ],
        "extra-links": [
            "airflow_provider_mediax.links.console.InputLink",
            "airflow_provider_mediax.links.console.ResultsLink",
            "airflow_provider_mediax.links.console.ReportLink",
        ],
        "cli": ["airflow_provider_mediax.cli.definition.get_commands"],
        "filesystems": ["airflow_provider_mediax.fs.cos"],
        "asset-uris": [
            {
                "schemes": ["cos"],
                "handler": "airflow_provider_mediax.assets.sanitize_uri",
                "factory": "airflow_provider_mediax.assets.create_asset",
                "to_openlineage_converter": "airflow_provider_mediax.assets.convert_asset_to_openlineage",
            },
        ],
        "connection-types": [
            {
                "connection-type": "mediax",
                "hook-class-name": "airflow_provider_mediax.hooks.mediax.MediaxHook",
                "hook-name": "MediaX (Tencent Cloud music)",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "host": "Gateway address",
                        "login": "Platform secret id",
                        "password": "Platform secret key",
                    },
                    # Of the extra's fields Airflow shows no placeholders: they have examples instead.
                    "placeholders": {
                        "host": "https://api.mediax.tencent.com",
                        "login": "tmpSecretId of the registration",
                        "password": "tmpSecretKey of the registration",
                    },
                },
                "conn-fields": _connection_fields(),
            },
        ],
    }


def _connection_fields() -> dict[str, dict[str, Any]]:
    """
    Return the fields that are stored in the connection's extra, section by section.

    None has a default: the form would store it, and what is stored Airflow masks in every log. What counts without a
    value is in ``hooks.connection.DEFAULTS``.
    """
    return {
        **_section(
            "Gateway and repository",
            gateway_source=_text(
                "Gateway source",
                "Value of the signed Source header; give all three gateway fields, or none to send no signature.",
                "1000000001_production",
            ),
            gateway_secret_id=_secret("Gateway secret id", "The apiGateSecretId that registration returned."),
            gateway_secret_key=_secret("Gateway secret key", "The apiGateSecretKey that registration returned."),
            content_id=_text(
                "Repository (contentId)", "The registered repository that jobs read from and write to by default."
            ),
            job_path=_text(
                "Job path", "Path of the job endpoint below the gateway address; /job if empty.", "/job", "/release/job"
            ),
            register_path=_text(
                "Register path",
                "Path of the registration endpoint below the gateway address; /register if empty.",
                "/register",
                "/release/register",
            ),
        ),
        **_section(
            "COS",
            cos_secret_id=_secret("COS secret id", "Key id for COS buckets and Cloud Infinite."),
            cos_secret_key=_secret("COS secret key", "Key for COS buckets and Cloud Infinite."),
            cos_token=_secret("COS session token", "Token of a temporary COS key; empty for a lasting one."),
            cos_region=_text(
                "COS region",
                "Region of the bucket and of Cloud Infinite.",
                *("ap-guangzhou", "ap-shanghai", "ap-beijing", "ap-nanjing", "ap-chengdu", "ap-chongqing"),
                *("ap-hongkong", "ap-singapore"),
            ),
            cos_bucket=_text("COS bucket", "Default bucket, with the account number at its end.", "music-1250000000"),
            bucket_regions=_text(
                "Regions of other buckets",
                "Buckets that lie elsewhere than the COS region, as a JSON object.",
                '{"files-1250000000": "ap-beijing"}',
            ),
            cos_endpoint=_text(
                "COS endpoint",
                "Address (scheme://host:port) that COS and Cloud Infinite requests are sent to, while the Host header "
                "and the signature keep the service's own name.",
                "https://cos.internal.example:443",
            ),
        ),
        **_section(
            "Advanced",
            namespace=_text(
                "Namespace",
                "Part of every job's identity; set it per deployment, or deployments that share an account adopt each "
                "other's jobs.",
                "production",
                "staging",
            ),
            claims=_text(
                "Claims",
                "Folder in COS where each submit first claims the exclusive right to be sent; without it two attempts "
                "at once can buy two jobs.",
                "cos://music-1250000000/claims/",
            ),
            mailbox=_text(
                "Mailbox",
                "Folder in COS where the services tell that a job has ended, so that they are asked less often; empty "
                "asks by time alone.",
                "cos://music-1250000000/mailbox/",
            ),
            requests_per_second=_number(
                "Requests per second",
                "Limit per service and process, so N worker processes together send N times as fast; 10 if empty.",
                at_most=1000,
            ),
            connect_timeout=_number(
                "Connect timeout (s)", "Seconds to open a connection, TLS included; 5 if empty.", at_most=120
            ),
            read_timeout=_number(
                "Read timeout (s)", "Seconds to wait for the next part of an answer; 30 if empty.", at_most=120
            ),
            proxy=_secret("Proxy", "Address of an HTTP proxy, hidden because it may hold a password."),
            verify=_text(
                "Verify TLS certificates",
                "false checks no certificates (for tests only); a path names a file or a folder with certificates to "
                "trust; true if empty.",
                "true",
                "false",
                "/etc/ssl/certs/own.pem",
            ),
        ),
    }


def _section(title: str, **fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Put fields into a section of the form."""
    for field in fields.values():
        field["schema"]["section"] = title
    return fields


def _text(label: str, description: str, *examples: str) -> dict[str, Any]:
    """Return a field of text; the form suggests the examples."""
    schema: dict[str, Any] = {"type": ["string", "null"]}
    return {
        "label": label,
        "description": description,
        "schema": schema | ({"examples": [*examples]} if examples else {}),
    }


def _secret(label: str, description: str) -> dict[str, Any]:
    """Return a field that the form and the API show as stars."""
    field = _text(label, description)
    field["schema"]["format"] = "password"
    return field


def _number(label: str, description: str, *, at_most: float) -> dict[str, Any]:
    schema = {"type": ["number", "null"], "minimum": 0.1, "maximum": at_most}
    return {"label": label, "description": description, "schema": schema}
