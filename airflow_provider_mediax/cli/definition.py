"""
Every command with its arguments and its help: one definition for both entries.

Airflow imports this module on every ``airflow`` command, so it imports the services' names and nothing else that
Airflow's own command line has not loaded by then, and a command's code only when that command runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.hooks.registry import SERVICES

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

GROUP = "mediax"


def get_commands() -> list[CLICommand]:
    """Return the group ``mediax``, in the form that Airflow asks for."""
    from airflow.cli.cli_config import ARG_OUTPUT, ActionCommand, Arg, GroupCommand, lazy_load_command

    def option(*flags: str, **details: Any) -> Arg:
        return Arg(flags, **details)

    conn_id = option("--conn-id", default="mediax_default", help="connection of type mediax (default: %(default)s)")
    place = (
        option("--bucket", help="bucket of the voice separations (default: the connection's)"),
        option("--region", help="its region (default: the connection's)"),
    )
    names = tuple(SERVICES)
    service = option(
        "--service", choices=names, default=names[0], help="the service whose job it is (default: %(default)s)"
    )
    job_id = option("job_id", help="the service's id of the job")
    orphans = ActionCommand(
        name="orphans",
        help="List jobs that no task owns any more, with what can be done about each",
        description=(
            "List jobs of a run or of a time span that no task owns any more, with what can be done about each. "
            "It reads Airflow's metadata database and asks the services. Exit codes: 0 there are none, 1 there are "
            "some, 2 it was used or configured wrongly, 3 a service could not say, so there may be more."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.orphans.run"),
        args=(
            option("--dag-id", help="only jobs of this DAG; this or --since is needed"),
            option("--run-id", help="only jobs of this run, with --dag-id"),
            option("--task-id", help="only jobs of this task, with --dag-id"),
            option("--since", help="only jobs created from then on: 2026-11-20T00:00 (in Airflow's time zone), or 24h"),
            option("--until", help="only jobs created up to then: likewise"),
            conn_id,
            option("--service", choices=names, help="ask only this service (default: each that is set up)"),
            *place,
            ARG_OUTPUT,
            option("--cancel", action="store_true", help="cancel what has not started, where the service can"),
            option(
                "--cancel-unknown",
                action="store_true",
                help="like --cancel, also those that this Airflow does not know: they may be another deployment's",
            ),
            option("-y", "--yes", action="store_true", help="cancel without asking"),
        ),
    )
    connect = ActionCommand(
        name="connect",
        help="Make a connection: ask for its fields or read them from a file, try them, write them",
        description=(
            "Make a connection of type mediax in Airflow's metadata database. Its fields are asked for, secrets "
            "without showing them, or come from a file. No secret is an option, since command lines are kept by "
            "Airflow and by the shell. Exit codes: 0 written, 1 something is wrong with it, 2 refused or used wrongly, "
            "3 something could not be tried; only 0 has written."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.connect.run"),
        args=(
            option("conn_id", nargs="?", default="mediax_default", help="id of the connection (default: %(default)s)"),
            option(
                "--file",
                help="JSON file with the connection as `airflow connections export` writes it, or with its fields; "
                "- reads standard input",
            ),
            option("--no-check", action="store_true", help="write it without trying it"),
            option("--overwrite", action="store_true", help="write over a connection that exists, without asking"),
        ),
    )
    register = ActionCommand(
        name="register",
        help="Register with the music platform and keep the keys as a connection",
        description=(
            "Register a customer with the music platform, once, and write the connection. What is not given is asked "
            "for. The COS keys come from --keys-file, from MEDIAX_COS_SECRET_ID and MEDIAX_COS_SECRET_KEY in the "
            "environment, or from a prompt; they are no options, which would end up in the shell's history. "
            "Exit codes: 0 registered, 2 refused or used wrongly, 3 no answer; the message says whether it may have "
            "happened all the same."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.register.run"),
        args=(
            option("--operate-uin", help="the Tencent Cloud account that activated the service"),
            option("--user-name", help="letters and digits, at most 19"),
            option("--bucket", help="COS bucket, with the account's number at its end"),
            option("--region", help="region of the bucket"),
            option("--domain", help="domain of the bucket, if it has one of its own"),
            option("--keys-file", help="JSON file with cos_secret_id and cos_secret_key"),
            option("--gateway-source", help="value of the Source header (default: <operate-uin>_<user-name>)"),
            option("--host", help="address of the gateway (default: the platform's)"),
            option("--register-path", help="path of the registration below it (default: /register)"),
            conn_id,
            option(
                "-o",
                "--output",
                choices=("airflow", "uri", "json"),
                default="airflow",
                help="write the connection to Airflow, or print it WITH ITS KEYS (default: %(default)s)",
            ),
            option("--force", action="store_true", help="overwrite the connection if it exists"),
        ),
    )
    check = ActionCommand(
        name="check",
        help="Try each part of a connection, and say what to do about what does not work",
        description=(
            "Try gateway, platform keys, repository, bucket and voice separation. Nothing is bought or written. "
            "Exit codes: 0 what is set up works, 1 something is wrong, 2 used wrongly, 3 something could not be tried."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.check.run"),
        args=(conn_id, ARG_OUTPUT),
    )
    jobs = GroupCommand(
        name="jobs",
        help="Jobs by their id or marker, of any task or deployment",
        subcommands=[
            ActionCommand(
                name="get",
                help="Show a job; as JSON its manifest, with the result",
                func=lazy_load_command("airflow_provider_mediax.cli.jobs.get"),
                args=(job_id, conn_id, service, *place, ARG_OUTPUT),
            ),
            ActionCommand(
                name="list",
                help="List the jobs that carry a marker",
                func=lazy_load_command("airflow_provider_mediax.cli.jobs.list_"),
                args=(
                    option("marker", help="customId of MediaX, first word of UserData of Cloud Infinite"),
                    option("--since", help="created from then on, or since 24h; of a service that lists by time"),
                    conn_id,
                    service,
                    *place,
                    ARG_OUTPUT,
                ),
            ),
            ActionCommand(
                name="wait",
                help="Wait until a job is final, and show it",
                func=lazy_load_command("airflow_provider_mediax.cli.jobs.wait"),
                args=(
                    job_id,
                    option("--timeout", default="86400", help="seconds (default: %(default)s)"),
                    option("--poll-interval", default="5", help="seconds at first; grows (default: %(default)s)"),
                    conn_id,
                    service,
                    *place,
                    ARG_OUTPUT,
                ),
            ),
        ],
    )
    quickstart = ActionCommand(
        name="quickstart",
        help="Try everything in your own Airflow without an account: emulator, connection and example DAGs",
        description=(
            "Run the emulator in the foreground with a short piece of music, write the connection mediax_quickstart, "
            "and copy the example DAGs to <dags folder>/mediax_quickstart. Nothing that exists is written over. Exit "
            "codes: 0 ended by Ctrl-C or removed, 2 refused or used wrongly, 3 the emulator has ended by itself."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.quickstart.run"),
        args=(
            option("--port", type=int, default=8480, help="port of the emulator on loopback (default: %(default)s)"),
            option("--remove", action="store_true", help="take away what it has made and nobody has changed"),
            option("-y", "--yes", action="store_true", help="do it without asking"),
        ),
    )
    report = ActionCommand(
        name="report",
        help="Write what jobs have found as one HTML page to look at and to listen to",
        description=(
            "Write manifests as one self-contained HTML page: of one track what can be seen and heard, of many an "
            "overview. `airflow-mediax jobs get ID -o json` prints a manifest. Exit codes: 0 written, 2 refused or "
            "used wrongly, 3 a result that lies in COS could not be read."
        ),
        func=lazy_load_command("airflow_provider_mediax.cli.report.run"),
        args=(
            option("files", nargs="+", metavar="FILE", help="JSON of a manifest, a list, or one a line; - reads input"),
            option("--out", default="report.html", help="the page (default: %(default)s)"),
            option("--audio", help="the sound of a single track: a file or an address (default: its input in COS)"),
            option("--title", help="title of the page"),
            conn_id,
        ),
    )
    folder = option("folder", help="address of the batch's folder, or of its outcome")
    own_conn_id = option("--conn-id", help="connection of type mediax (default: the one of the batch's task)")
    output_conn_id = option("--output-conn-id", help="connection of the folder (default: as its address says)")
    batch = GroupCommand(
        name="batch",
        help="The folder of a batch, without its task",
        subcommands=[
            ActionCommand(
                name="show",
                help="Show what a folder holds: items by state, errors, the task that it belongs to",
                func=lazy_load_command("airflow_provider_mediax.cli.batch.show"),
                args=(folder, own_conn_id, output_conn_id, ARG_OUTPUT),
            ),
            ActionCommand(
                name="settle",
                help="Collect what an unfinished batch has bought, buy nothing, and write its outcome",
                description=(
                    "Wait for the jobs of an unfinished batch and write its outcome; what was not submitted stays so. "
                    "Only for a batch whose task has ended: a task that is still running stops. "
                    "Exit codes: 0 all jobs have ended, 1 some have not, or it is not known whether they exist, "
                    "2 used or configured wrongly, 3 a service or the store did not answer."
                ),
                func=lazy_load_command("airflow_provider_mediax.cli.batch.settle"),
                args=(
                    folder,
                    option("--timeout", default="3600", help="seconds for each job from now (default: %(default)s)"),
                    own_conn_id,
                    output_conn_id,
                    ARG_OUTPUT,
                ),
            ),
            ActionCommand(
                name="cancel",
                help="Cancel what an unfinished batch has submitted and has not started, where the service can",
                func=lazy_load_command("airflow_provider_mediax.cli.batch.cancel"),
                args=(folder, own_conn_id, output_conn_id, ARG_OUTPUT),
            ),
        ],
    )
    mailbox = GroupCommand(
        name="mailbox",
        help="The folders in COS where callbacks and claims lie",
        subcommands=[
            ActionCommand(
                name="clean",
                help="Delete what jobs of long ago have left in the folders of mailbox and claims",
                description=(
                    "Delete what jobs of long ago have left in the folders that the connection's mailbox and claims "
                    "name. Exit codes: 0 done, 2 it was used or configured wrongly, 3 COS could not say."
                ),
                func=lazy_load_command("airflow_provider_mediax.cli.mailbox.clean"),
                args=(
                    option("--older-than", default="30d", help="age from which on, 7d or more (default: %(default)s)"),
                    conn_id,
                ),
            ),
        ],
    )
    return [
        GroupCommand(
            name=GROUP,
            help="Jobs of the music platform and of voice separation",
            subcommands=[quickstart, connect, check, orphans, jobs, batch, report, mailbox, register],
        )
    ]
