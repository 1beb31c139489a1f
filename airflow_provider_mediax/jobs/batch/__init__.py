"""Thousands of jobs in one task: items, plan, ledger, loop and outcome of a batch; no HTTP, no Airflow."""
