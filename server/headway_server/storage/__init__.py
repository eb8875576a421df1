"""The public tree on a file system, in an S3 bucket, or in memory; one contract test runs over all three."""
