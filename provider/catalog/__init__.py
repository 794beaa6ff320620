"""What exists: providers, services, resources, fields, methods and parameters, read from YAML manifests."""
