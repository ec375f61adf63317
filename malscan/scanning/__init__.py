"""What lies under a scan: which images need computing, what is kept of them, who watches."""
