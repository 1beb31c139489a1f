"""The command line: ``airflow-mediax`` everywhere, ``airflow mediax`` from Airflow 3.2 on."""
