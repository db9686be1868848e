"""Small real services, one a server or consumer; what each is told and asked is in `propagation.driver`."""
