"""The checkup: how a configured server looks from outside, and what to change (SU-3)."""
