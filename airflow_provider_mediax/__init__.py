"""Apache Airflow provider for music analysis jobs on Tencent Cloud: MediaX and Cloud Infinite."""

__version__ = "0.1.0"
