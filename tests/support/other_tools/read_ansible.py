"""Prints what Ansible reads from a file of variables, as JSON: `read_ansible.py FILE PASSWORD_FILE`."""

import json
import sys

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, VaultSecretsContext
from ansible.template import Templar

with open(sys.argv[2], "rb") as password:
    secrets = [("default", VaultSecret(password.read().strip()))]
VaultSecretsContext.initialize(VaultSecretsContext(secrets))
loader = DataLoader()
loader.set_vault_secrets(secrets)
variables = loader.load_from_file(sys.argv[1])
print(json.dumps(Templar(loader=loader).template(variables), default=str))
