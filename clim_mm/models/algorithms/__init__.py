"""Self-supervised methods: named views in, loss out."""
