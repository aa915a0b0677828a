"""Cut-out objects on disk: :class:`InstanceBank`, its rounds, and what cuts the objects out."""

from imbdense.data.instance_bank.bank import ROUNDS, InstanceBank, Rounds
from imbdense.data.instance_bank.cut import cut_instances, cut_points, cut_regions
from imbdense.data.instance_bank.cut_parts import cut_parts
from imbdense.data.instance_bank.objects import BankError, BankObject
from imbdense.data.instance_bank.writer import RoundWriter

__all__ = [
    'ROUNDS',
    'BankError',
    'BankObject',
    'InstanceBank',
    'RoundWriter',
    'Rounds',
    'cut_instances',
    'cut_parts',
    'cut_points',
    'cut_regions',
]
