"""What keeps the repository in agreement with itself; nothing that runs on Azure."""
