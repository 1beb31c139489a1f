"""Object storage as a filesystem, for ``ObjectStoragePath`` and everything else that goes through fsspec."""
