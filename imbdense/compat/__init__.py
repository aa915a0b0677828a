"""Names of other toolboxes for what is here, so that their configs run; each module registers when imported."""
