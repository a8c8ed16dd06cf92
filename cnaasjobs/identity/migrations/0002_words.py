from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="identity",
            name="groups_of",
            field=models.BigIntegerField(
                default=0,
                help_text="When the JWT that last changed the user's groups was issued, in seconds since 1970.",
            ),
        ),
        migrations.AlterField(
            model_name="identity",
            name="subject",
            field=models.CharField(help_text="Identifies the person there for good: the claim sub.", max_length=255),
        ),
    ]
