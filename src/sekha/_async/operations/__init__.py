"""Operations of several requests that two services share."""
