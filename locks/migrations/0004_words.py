from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("locks", "0003_number_in_the_statement"),
    ]

    operations = [
        migrations.AlterField(
            model_name="lock",
            name="start_time",
            field=models.DateTimeField(blank=True, help_text="When its holder acquired it.", null=True),
        ),
    ]
