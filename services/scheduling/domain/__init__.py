"""Pure decisions about appointments: which slots there are, which one a referral gets, and when it is given back."""
