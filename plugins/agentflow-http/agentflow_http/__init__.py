"""What plugins share that speak to a model service over HTTP: one client, one stream, one way of failing."""
