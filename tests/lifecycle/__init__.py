"""The life of a referral as DESIGN section 6 tells it, written a second time to hold routing against it."""
