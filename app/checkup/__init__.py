"""What `launch.py doctor` looks at, one file a subject. Each gives findings and, when asked, mends what is safe."""
